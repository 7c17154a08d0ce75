"""Words of German, Spanish, French and Chinese that simple messages are made of, in the English that is understood.

Names of structures, sides, and the words of questions and requests; folded to lower case without accents. A phrase of
several words stands before its parts because the longest is taken first. "" leaves a word out.
"""

from __future__ import annotations


def _table(text: str) -> dict[str, str]:
    pairs = (entry.partition("=") for line in text.strip().splitlines() for entry in line.split(";"))
    table = {}
    for foreign, _, english in pairs:
        for form in foreign.split("/"):
            table[form.strip()] = english.strip()
    return table


GERMAN = _table("""
leber=liver; milz=spleen; niere=kidney; nieren=kidneys; lunge=lung; lungen/lungenflugel=lungs
herz/herzens=heart; magen=stomach; galle/gallenblase=gallbladder; bauchspeicheldruse/pankreas=pancreas
harnblase/blase=urinary bladder; hauptschlagader/aorta=aorta; hohlvene/untere hohlvene=inferior vena cava
speiserohre=esophagus; luftrohre=trachea; schilddruse=thyroid; nebenniere=adrenal gland
nebennieren=adrenal glands; zwolffingerdarm=duodenum; gehirn=brain; wirbelsaule=spine; kreuzbein=sacrum
rippen=ribs; rippe=rib; brustbein=sternum; oberschenkelknochen/femur=femur; knochen=bones; prostata=prostate
darm=bowel; dickdarm=colon; dunndarm=small bowel; pfortader=portal vein; wirbel=vertebra; schlusselbein=clavicle
schulterblatt=scapula; huftknochen=hip bone; huften=hip bones; hufte=hip; ruckenmark=spinal cord
lungenlappen=lung lobe; oberlappen=upper lobe; unterlappen=lower lobe; mittellappen=middle lobe
unterkiefer=mandible; muskel=muscle; muskeln=muscles; organ=organ; organe=organs; gefasse=vessels
brustkorb/thorax=chest; becken=pelvis; bauch/bauchraum/abdomen=abdomen; lymphknoten=lymph nodes
linke/linken/linker/linkes/links=left; rechte/rechten/rechter/rechtes/rechts=right; volumen=volume; grosse=size
durchmesser=diameter; dichte=density; hu wert/hu werte=hu; lange=length; breite=width
abstand/entfernung=distance; wie gross=how big; wie schwer=how heavy; wie viel/wieviel=how much
wie viele/wieviele=how many; wie dicht=how dense; wie lang=how long; wie breit=how wide; wie dick=how thick
wie weit=how far; wie=how; wo=where; was=what; welche/welcher/welches=which; wer=who; warum=why; ist=is
sind=are; liegt=is; liegen=are; gibt es/hat es=is there; hat=has; haben=have; kann=can
kannst du/konnen sie=can you; sieht man/siehst du/sehen sie=do you see; der/die/das/den/dem/des=the
ein/eine/einen/einer/einem=a; und=and; oder=or; zeige/zeig/zeigen/anzeigen=show; mir=me; bitte=please
miss/messe/messen/vermesse=measure; segmentiere/segmentieren=segment; markiere/markieren=mark; umranden=outline
blende/blenden/ausblenden/verstecke/verberge=hide; aus=; losche/loschen/entferne=delete; farbe=color; rot=red
blau=blue; grun=green; gelb=yellow; vergleiche/vergleichen=compare; grosser=larger; kleiner=smaller
grosste/grossten=largest; kleinste=smallest; vergrossert=enlarged; normal=normal; zu gross=too large
erweitert=dilated; verkalkt=calcified; verkalkungen/verkalkung/kalk=calcifications; stein=stone; steine=stones
nierensteine=kidney stones; gallensteine=gallstones; metall=metal; flussigkeit/freie flussigkeit=fluid
wasser=water; luft=air; freie luft=free air; pleuraerguss/pleuraergusse/erguss=pleural effusion
pneumothorax=pneumothorax; aszites=ascites; fettleber=fatty liver; verfettet=fatty; fett=fat; emphysem=emphysema
osteoporose=osteoporosis; aneurysma=aneurysm; tumor=tumor; krebs=cancer; metastasen=metastases
knoten/rundherde/rundherd=nodules; zyste=cyst; zysten=cysts; lasion/herd=lesion; lasionen/herde=lesions
bruch/fraktur=fracture; entzundung=inflammation; befund/bericht=report; schreibe/schreib=write; bild=image
hier=here; kontrastmittel=contrast; schicht/schichten=slices; schichtdicke=slice thickness; dein=your; du=you
ich=i; es=it; sie=it; neben=next to; zwischen=between; hinter=behind; vor=in front of; uber=above; unter=below
um=around; von=of; vom=of the; in=in; im=in the; auf=on; am=at the; mit=with; zu=to; zum=to the; nicht=not
kein/keine=no; auch=also; beide/beiden=both; hallo=hello; danke=thanks; hilfe=help; guten tag/guten morgen=hello
welche organe=which organs; was kannst du=what can you do; verdachtig/auffallig/auffalliges=suspicious
etwas=anything; irgendwo=anywhere; heller=brighter; dunkler=darker; dunkle=dark; helle=bright; stelle=spot
stellen=spots; fleck=spot; flecken=spots; punkt=spot; dieser/diese/dieses=this; andere/anderen/anderer=other
daneben=next to it; axiale/axial=axial; koronare=coronal; das hier=this; fenster=window; nochmal=again; alle=all
alles=everything; grosser als=larger than; kleiner als=smaller than; welche ist=which is; zu sehen=to see
voll=full; bauchaorta=abdominal aorta; brustaorta=thoracic aorta; fadenkreuz=crosshair; meine/meinte=mean
kollabiert/kollabierte=collapsed; verschoben/verlagert=shifted; lappen=lobe; seite=side; flussigkeiten=fluid
tumoren=tumors; raumforderung=mass; im mittel=mean; mittelwert=mean; wie tief=how deep; groser erguss=effusion
nach=by; sortiere/ordne=rank; prozent=percent; glatten/glatte=smooth; bosartig=malignant; gutartig=benign
lungenentzundung=pneumonia; entzundet=inflamed; verdickt=thickened; wand=wall
gallenblasenwand=wall of the gallbladder; bogen=arch; aortenbogen=aortic arch; prothese=prosthesis
huftprothese=hip prosthesis; schraube/schrauben=screws; aufsteigende/aufsteigenden=ascending
absteigende/absteigenden=descending; nur=only; seite=side; abgeschnitten=cut off; maske=mask; masken=masks
geklickt/angeklickt=clicked; darin=in it; dahinter=behind it; drumherum=around it; gebrochen=broken
medikament=drug; wetter=weather; hintergrund=background; punktes=spot; weichteilfenster=soft tissue window
lungenfenster=lung window; knochenfenster=bone window; helligkeit=brightness; schwarz=black; weiss=white
hervorheben=highlight; perikarderguss=pericardial effusion; infiltrat=consolidation; wirbelkorper=vertebra
volumens=volume; mittlere/mittlerer=mean; breiteste=widest; freier/freies=free; bauchhohle=abdomen; nein=no
ja=yes; muskelflache=muscle area; zur=to the; alles loschen=delete all; ruckgangig=undo; umbenennen=rename
der bericht=report; er=he; zeichne=draw; voruntersuchung/voraufnahme/vorbefund=prior scan; letztes mal=last time
fruher/vorher=before; gewachsen=grown; verandert=changed; veranderung/veranderungen=changes; gegenuber=compared to
vergleich=compare; schnittmenge=intersect; uberlappung/uberschneidung=overlap; uberlappen=overlap; zerlegen=split
teile/teilen=pieces; trennen=separate; verkleinern/schrumpfen/verkleinere=shrink; wachsen/erweitern=grow
vergrossern/vergrossere=grow; um=by; fullen/fulle/auffullen=fill; locher=holes; abziehen=subtract
vereinigen/zusammenfugen=merge; interpolieren=interpolate; schwellwert/schwelle=threshold; aushohlen=hollow
grosstes stuck/grosste stuck=largest piece; zusammen=together; einblenden=show; gehe/geh=go; schnitt=slice
koronar=coronal; sagittal=sagittal; hoher=higher; niedriger/tiefer=lower; beruhren/beruhrt=touching; schmerzen=pain
notfall=emergency; gesund=healthy; ursache=cause; sicher=sure; genau=accurate
""")

SPANISH = _table("""
higado=liver; bazo=spleen; rinon=kidney; rinones=kidneys; pulmon=lung; pulmones=lungs; corazon=heart
estomago=stomach; vesicula/vesicula biliar=gallbladder; pancreas=pancreas; vejiga=urinary bladder; aorta=aorta
vena cava=inferior vena cava; vena cava inferior=inferior vena cava; esofago=esophagus; traquea=trachea
tiroides=thyroid; suprarrenal=adrenal gland; glandulas suprarrenales/suprarrenales=adrenal glands
duodeno=duodenum; cerebro=brain; columna/columna vertebral=spine; sacro=sacrum; costillas=ribs; costilla=rib
esternon=sternum; femur=femur; huesos=bones; hueso=bone; prostata=prostate; intestino=bowel; colon=colon
vena porta=portal vein; clavicula=clavicle; cadera=hip; medula espinal=spinal cord; lobulo=lobe; superior=upper
inferior=lower; musculos=muscles; organo=organ; organos=organs; vasos=vessels; torax=chest; abdomen=abdomen
pelvis=pelvis; izquierdo/izquierda=left; derecho/derecha=right; volumen=volume; tamano=size; diametro=diameter
densidad=density; longitud=length; ancho=width; distancia=distance
que tan grande es/como de grande es=how big is; cuanto mide/cuanto miden=how big is; que tamano tiene=how big is
cuanto pesa=how heavy is; cuanto/cuanta=how much; cuantos/cuantas=how many; donde esta/donde=where is
donde estan=where are; que=what; cual/cuales=which; por que=why; como=how; es=is; son=are; esta=is; estan=are
hay=is there; tiene=has; puede/puedes=can you; se ve/ves/ve usted=do you see; el/la/los/las/lo=the; un/una=a
y/e=and; o=or; muestra/muestrame/mostrar/ensename=show; me=me; por favor=please; mide/medir=measure
segmenta/segmentar=segment; marca/marcar=mark; oculta/ocultar/esconde=hide; borra/borrar/elimina/quita=delete
rojo=red; azul=blue; verde=green; amarillo=yellow; compara/comparar=compare
mas grande que/mayor que=larger than; mas pequeno que=smaller than; mas grande/mayor=larger
mas pequeno/menor=smaller; agrandado/agrandada/aumentado=enlarged; normal=normal; dilatada/dilatado=dilated
calcificada/calcificado=calcified; calcificaciones/calcificacion/calcio=calcifications; piedra/calculo=stone
desplazado/desplazada/desviado=shifted; mediastino=mediastinum; promedio=mean; uh=hu; masa=mass; lado=side
piedras/calculos=stones; calculos renales=kidney stones; metal=metal; liquido/liquido libre=fluid; agua=water
aire=air; aire libre=free air; derrame pleural/derrame=pleural effusion; neumotorax=pneumothorax
ascitis=ascites; higado graso=fatty liver; graso=fatty; grasa=fat; enfisema=emphysema; osteoporosis=osteoporosis
aneurisma=aneurysm; tumor=tumor; cancer=cancer; metastasis=metastases; nodulo=nodule; nodulos=nodules
quiste=cyst; quistes=cysts; lesion=lesion; lesiones=lesions; fractura=fracture; inflamacion=inflammation
informe=report; escribe=write; imagen=image; aqui=here; contraste=contrast; corte=slice; cortes=slices
grosor de corte=slice thickness; al lado de=next to; entre=between; detras de=behind; delante de=in front of
encima de=above; debajo de=below; alrededor de=around; alrededor del=around the; de=of; del=of the; en=in
con=with; al=to the; a=to; no=not; tambien=also; ambos/ambas=both; su=its; esto=this; hola/buenos dias=hello
gracias=thanks; ayuda=help; que puedes hacer=what can you do; sospechoso=suspicious; algo=anything; mancha=spot
manchas=spots; oscura/oscuro=dark; brillante=bright; mas denso/mas densa=denser; algun/alguna/alguno=any
esta cosa=this; cosa=thing; otro/otra=other; axial=axial; ventana=window; todo/todos=all; que es=what is
llena/lleno=full; aorta abdominal=abdominal aorta; ascendente=ascending; descendente=descending
arco aortico=aortic arch; arco=arch; neumonia=pneumonia; inflamado/inflamada=inflamed
engrosada/engrosado=thickened; pared=wall; maligno=malignant; benigno=benign; protesis=prosthesis
tornillo/tornillos=screws; solo=only; lado=side; oscuras/oscuros=dark; brillantes=bright; apendice=appendix
medicina/medicamento=drug; consolidacion=consolidation; detras=behind; delante=in front; suma=sum; litros=liters
pinta=color; se uso=was; grande=large; pequeno=small; haz=make; deshacer/deshaz=undo; suaviza/suavizar=smooth
porcentaje=percent; ordena/ordenar=rank; he hecho clic=clicked; hice clic=clicked
derrame pericardico=pericardial effusion; ganglios=lymph nodes; ventana de pulmon=lung window; paciente=patient
chiste=joke; el tiempo=the weather; cuanto tiempo=how much time; me queda=do i have left; nivel=level
duele=hurts; pecho=chest; emergencia/urgencia=emergency; sano/sana=healthy; estudio previo=prior scan
anterior/previo/previa=prior; ultima vez=last time; cambio/cambios=changes; crecido=grown; comparado con=compared to
mascara=mask; reducir/encoger=shrink; ampliar/agrandar=grow; rellenar/rellena=fill; agujeros=holes
lobulo inferior izquierdo=left lower lobe; lobulo inferior derecho=right lower lobe; restar/resta=subtract
lobulo superior izquierdo=left upper lobe; lobulo superior derecho=right upper lobe; lobulo medio=middle lobe
unir/une=merge; dividir/divide=split; umbral=threshold; interseccion=intersect; superponen=overlap; juntos=together
coronal=coronal; sagital=sagittal; pleura=pleural; lado derecho=right side; tocan/toca=touching; peligroso=dangerous
 clic=clicked; cortado=cut off; quiero=i want; ver=see; linfaticos=; si=yes
area muscular=muscle area
""")

FRENCH = _table("""
foie=liver; rate=spleen; rein=kidney; reins=kidneys; poumon=lung; poumons=lungs; coeur=heart; estomac=stomach
vesicule/vesicule biliaire=gallbladder; pancreas=pancreas; vessie=urinary bladder; aorte=aorta
veine cave=inferior vena cava; veine cave inferieure=inferior vena cava; oesophage=esophagus; trachee=trachea
thyroide=thyroid; surrenale=adrenal gland; surrenales=adrenal glands; duodenum=duodenum; cerveau=brain
colonne/colonne vertebrale/rachis=spine; sacrum=sacrum; cotes=ribs; sternum=sternum; femur=femur; os=bones
prostate=prostate; intestin=bowel; colon=colon; veine porte=portal vein; clavicule=clavicle; hanche=hip
moelle epiniere=spinal cord; lobe=lobe; superieur=upper; inferieur=lower; muscles=muscles; organe=organ
organes=organs; vaisseaux=vessels; thorax=chest; abdomen/ventre=abdomen; bassin=pelvis; gauche=left
droit/droite=right; volume=volume; taille=size; diametre=diameter; densite=density; longueur=length
largeur=width; distance=distance; quelle est la taille=how big is; combien mesure=how big is
combien pese=how heavy is; combien de/combien=how many; ou est/ou se trouve=where is; ou sont=where are
quel/quelle/quels/quelles=what is; qu est ce que/qu est ce=what is; que=what; pourquoi=why; comment=how
est ce que=; est ce qu il y a=is there; est ce=; est=is; sont=are; y a t il/il y a=is there; a=on; a t il=has
peux tu/pouvez vous=can you; voyez vous/vois tu=do you see; le/la/les/l=the; un/une=a; des/du/de/d=of; et=and
ou=or; montre/montrez/affiche/affichez=show; moi=me; s il te plait/s il vous plait/svp=please
mesure/mesurez/mesurer=measure; segmente/segmentez/segmenter=segment; marque=mark; cache/cachez=hide
supprime/supprimez/efface/enleve=delete; rouge=red; bleu=blue; vert=green; jaune=yellow
compare/comparez=compare; plus grand que/plus grande que=larger than; plus petit que=smaller than
plus grand/plus grande=larger; plus petit/plus petite=smaller; agrandi/agrandie/augmente/augmentee=enlarged
normal/normale=normal; dilatee/dilate=dilated; calcifiee/calcifie=calcified
calcifications/calcification=calcifications; calcul/pierre=stone; calculs/pierres=stones
calculs renaux=kidney stones; metal=metal; liquide/liquide libre/epanchement=fluid; eau=water; air=air
air libre=free air; epanchement pleural=pleural effusion; pneumothorax=pneumothorax; ascite=ascites
steatose=fatty liver; gras=fatty; graisse=fat; emphyseme=emphysema; osteoporose=osteoporosis; anevrisme=aneurysm
tumeur=tumor; cancer=cancer; metastases=metastases; nodule=nodule; nodules=nodules; kyste=cyst; kystes=cysts
lesion=lesion; lesions=lesions; fracture=fracture; inflammation=inflammation; compte rendu/rapport=report
ecris/ecrivez=write; image=image; ici=here; contraste=contrast; coupe=slice; coupes=slices
epaisseur de coupe=slice thickness; a cote de=next to; entre=between; derriere=behind; devant=in front of
au dessus de=above; au dessous de/sous=below; autour de/autour du/autour des=around; dans=in; avec=with
au=to the; ne=; pas=not; aussi=also; les deux=both; son/sa/ses=its; ceci/cela=this; bonjour/salut=hello
merci=thanks; aide=help; que peux tu faire=what can you do; suspect=suspicious; quelque chose=anything
tache=spot; taches=spots; sombre=dark; brillant=bright; en=in; plus dense=denser; fais/faites=make; autre=other
axiale=axial; il=it; elle=it; fenetre=window; tout/tous=all; du metal=metal; c est quoi=what is
est il/est elle=is; pleine/plein=full; aorte abdominale=abdominal aorta; ascendante=ascending
descendante=descending; crosse=arch; crosse aortique=aortic arch; pneumonie=pneumonia
enflamme/enflammee=inflamed; epaissie/epaissi=thickened; paroi=wall; malin/maligne=malignant; benin=benign
prothese=prosthesis; vis=screws; seulement=only; cote=side; sombres=dark; brillants=bright; appendice=appendix
medicament=drug; condensation=consolidation; hypodenses=dark; hyperdenses=bright; metallique=metal
materiel metallique=metal; pourcentage=percent; grand/gros/grosse=large; petit/petite=small; annule/annuler=undo
lisse/lisser=smooth; epanchement pericardique=pericardial effusion; ganglions=lymph nodes
fenetre pulmonaire=lung window; blague=joke; touchent/touche=touching; lequel/laquelle=which; autour=around
je veux dire=i mean; opere/operer=operate; faut il=should; grand axe=longest axis; clique=clicked; oui=yes
non=no; ce=this; surface musculaire=muscle area; chez=in; patient=patient; c=it; masque=mask
examen precedent=prior scan; precedent/precedente=prior; lobe inferieur gauche=left lower lobe
lobe inferieur droit=right lower lobe; lobe superieur gauche=left upper lobe; lobe superieur droit=right upper lobe
la derniere fois=last time; changement=changes; grandi=grown; par rapport a=compared to
reduire/retrecir=shrink; agrandir/dilater=grow; remplir=fill; trous=holes; soustraire=subtract; fusionner=merge
separer/diviser=split; seuil=threshold; intersection=intersect; chevauchent/chevauchement=overlap; ensemble=together
coronale=coronal; sagittale=sagittal; demineralise/demineralisee=demineralised; douleur=pain; urgence=emergency
sain/saine=healthy; lobe inferieur=lower lobe; lobe superieur=upper lobe; lobe moyen=middle lobe
""")

CHINESE = _table("""
肝脏/肝=liver; 脾脏/脾=spleen; 肾脏/肾=kidney; 双肾/两肾/两个肾=both kidneys; 肺部/肺=lungs; 右肺=right lung
左肺=left lung; 双肺/两肺=both lungs; 心脏=heart; 胃=stomach; 胆囊=gallbladder; 胰腺/胰=pancreas
膀胱=urinary bladder; 主动脉=aorta; 下腔静脉=inferior vena cava; 食管/食道=esophagus; 气管=trachea
甲状腺=thyroid; 肾上腺=adrenal gland; 十二指肠=duodenum; 大脑/脑=brain; 脊柱=spine; 骶骨=sacrum; 肋骨=ribs
胸骨=sternum; 股骨=femur; 骨头/骨骼/骨=bones; 前列腺=prostate; 肠=bowel; 结肠=colon; 门静脉=portal vein
锁骨=clavicle; 髋骨=hip bone; 脊髓=spinal cord; 肌肉=muscles; 器官=organs; 血管=vessels; 胸部=chest
腹部=abdomen; 盆腔=pelvis; 左侧/左边/左=left; 右侧/右边/右=right; 体积=volume; 大小=size; 直径=diameter
密度=density; 长度=length; 宽度=width; 距离=distance; 有多大/多大=how big is; 多重=how heavy is; 多少=how much
几个/多少个=how many; 在哪里/在哪儿/在哪=where is; 哪里=where; 哪个/哪些=which; 什么=what; 为什么=why; 是=is
有没有/是否有/有=is there; 吗/呢/的/了/请/一下/它=; 能/可以=can; 显示/看=show; 测量=measure; 分割=segment
标记=mark; 隐藏=hide; 删除=delete; 红色=red; 蓝色=blue; 绿色=green; 黄色=yellow; 比较=compare
更大/大于/大=larger; 更小=smaller; 增大/肿大=enlarged; 正常=normal; 扩张=dilated; 钙化=calcifications
结石=stones; 肾结石=kidney stones; 胆结石=gallstones; 金属=metal; 液体/积液=fluid; 胸腔积液=pleural effusion
腹水=ascites; 气胸=pneumothorax; 空气/气体=gas; 脂肪肝=fatty liver; 脂肪=fat; 肺气肿=emphysema
骨质疏松=osteoporosis; 动脉瘤=aneurysm; 肿瘤=tumor; 癌症/癌=cancer; 转移=metastases; 结节=nodules; 囊肿=cysts
病变/病灶=lesions; 骨折=fracture; 炎症=inflammation; 报告=report; 写=write; 图像=image; 这里=here
这是什么=what is this; 这=this; 层=slice; 造影剂=contrast; 旁边=next to; 之间=between; 后面=behind
前面=in front of; 上面=above; 下面=below; 周围=around; 和/与/跟=and; 或=or; 在=at; 不=not; 也=also; 都=both
你好=hello; 谢谢=thanks; 帮助=help; 你能做什么=what can you do; 平均=mean; 毫米=mm; 厘米=cm; 毫升=ml
异常=unusual; 最大=largest; 最小=smallest; 里面/里/中=in; 密度高=brighter; 密度低=darker; 低密度=dark
高密度=bright; 点击的/选中的=clicked; 十字=crosshair; 心包=heart; 心包积液=pericardial effusion; 游离=free
左下肺/左肺下叶=left lower lobe; 右下肺/右肺下叶=right lower lobe; 左上肺/左肺上叶=left upper lobe
右上肺/右肺上叶=right upper lobe; 右肺中叶=middle lobe; 实变=consolidation; 淋巴结=lymph nodes; 恶性=malignant
良性=benign; 壁厚=wall thickened; 壁=wall; 天气=weather; 加起来=together; 升=liters; 百分之几=percent
离=distance to; 多远=how far; 厚=thickened; 层厚=slice thickness; 吃什么药=which drug; 药=drug
肌肉面积=muscle area; 腰3=l3; 腰椎=lumbar vertebrae; 胸椎=thoracic vertebrae; 我说=i mean; 主动脉弓=aortic arch
升主动脉=ascending aorta; 降主动脉=descending aorta; 腹主动脉=abdominal aorta; 肺炎=pneumonia; 腹腔=abdomen
满=full; 最宽=widest; 撤销=undo; 排序=rank; 另一个=the other one; 阴影=shadow; 长=long; 宽=wide; 高=high; 我=i
你=you; 医生=doctor; 手术=surgery; 病人/患者=patient; 名字=name; 笑话=joke
缩小=shrink by; 扩大/放大=grow by; 膨胀=grow by; 上次=last time; 之前/以前=before; 变化=changes; 相比=compared to
比=than; 更高=higher; 掩膜/蒙版=mask; 合并=merge; 减去=subtract; 填充=fill
重叠=overlap; 平滑=smooth; 拆分=split; 阈值=threshold; 冠状=coronal; 矢状=sagittal; 窗=window; 疼=pain; 危险=dangerous
""")

LANGUAGES = {"de": GERMAN, "es": SPANISH, "fr": FRENCH}
