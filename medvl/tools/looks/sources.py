"""Publications behind the thresholds of the looks."""

ABRAMOWITZ = (
    "Abramowitz Y, Simanovsky N, Goldstein MS, Hiller N. AJR 2009;192:618-623: pleural effusions had mean attenuations "
    "from -21 to 32 HU"
)
ADLER = (
    "Adler Y, Charron P, Imazio M, et al. (ESC). Eur Heart J 2015;36:2921-2964: the pericardial sac normally holds 10 "
    "to 50 mL"
)
AGATSTON = (
    "Agatston AS, Janowitz WR, Hildner FJ, et al. J Am Coll Cardiol 1990;15:827-832: calcium from 130 HU and 1 square "
    "mm on, without contrast"
)
BOSNIAK = (
    "Silverman SG, Pedrosa I, Ellis JH, et al. Radiology 2019;292:475-488 (Bosniak classification, version 2019): "
    "homogeneous masses of -9 to 20 HU"
)
ELTON = (
    "Elton DC, Turkbey EB, Pickhardt PJ, Summers RM. Med Phys 2022;49:2545-2554: stones from 130 HU on, on "
    "unenhanced CT"
)
EXAMINATION = (
    "Examination Committee of Criteria for Obesity Disease in Japan. Circ J 2002;66:987-992: visceral fat from 100 "
    "square cm on, at the umbilicus"
)
FLEISCHNER = (
    "MacMahon H, Naidich DP, Goo JM, et al. Radiology 2017;284:228-243 (Fleischner Society): solid nodules are "
    "followed from 6 mm on"
)
GATTINONI = (
    "Gattinoni L, Caironi P, Pelosi P, Goodman LR. Am J Respir Crit Care Med 2001;164:1701-1711: lung from -500 to "
    "-100 HU is poorly aerated, from -100 to 100 HU not aerated"
)
GEVENOIS = (
    "Gevenois PA, De Vuyst P, de Maertelaer V, et al. Am J Respir Crit Care Med 1996;154:187-192: lung below -950 HU"
)
GORE = (
    "Gore RM, Pickhardt PJ, Mortele KJ, et al. (ACR). J Am Coll Radiol 2017;14:1429-1437: incidental liver lesions, "
    "below and from 10 mm on"
)
ISSELBACHER = (
    "Isselbacher EM, Preventza O, Black JH, et al. (ACC/AHA). Circulation 2022;146:e334-e482: aneurysm of the "
    "ascending aorta from 45 mm on"
)
LOWE = "Lowe KE, Regan EA, Anzueto A, et al. Chronic Obstr Pulm Dis 2019;6:384-399 (COPDGene): emphysema from 5% on"
LUKACZ = (
    "Lukacz ES, Sampselle C, Gray M, et al. Int J Clin Pract 2011;65:1026-1036: a healthy bladder holds 300 to 400 mL"
)
MOURTZAKIS = (
    "Mourtzakis M, Prado CMM, Lieffers JR, et al. Appl Physiol Nutr Metab 2008;33:997-1006: at L3 muscle from -29 to "
    "150 HU, visceral fat from -150 to -50 HU, subcutaneous fat from -190 to -30 HU"
)
PARK = (
    "Park YS, Yoon H, Kang SY, et al. Diagnostics 2022;12:721: a gallbladder 3.12 cm or more wide on CT told acute "
    "cholecystitis from other diseases with a sensitivity of 88% and a specificity of 86%"
)
PRADO = (
    "Prado CMM, Lieffers JR, McCargar LJ, et al. Lancet Oncol 2008;9:629-635: muscle over height squared below 52.4 "
    "(men) or 38.5 (women) square cm over square m is low, in patients with cancer and obesity"
)
ROGERS = (
    "Rogers IS, Massaro JM, Truong QA, et al. Am J Cardiol 2013;111:1510-1516 (Framingham Heart Study): mean diameters "
    "of the aorta by CT"
)
WANHAINEN = (
    "Wanhainen A, Verzini F, Van Herzeele I, et al. (ESVS). Eur J Vasc Endovasc Surg 2019;57:8-93: abdominal aneurysm "
    "from 30 mm on"
)
