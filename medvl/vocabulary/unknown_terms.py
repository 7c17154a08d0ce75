"""Structures and diseases that people ask for and no preset can segment."""

from __future__ import annotations

from .structure import UnknownTerm, names

_NUMBERS = (
    *names("first, second, third, fourth, fifth, sixth, seventh, eighth, ninth, tenth, eleventh, twelfth"),
    *names("1 st, 2 nd, 3 rd, 4 th, 5 th, 6 th, 7 th, 8 th, 9 th, 10 th, 11 th, 12 th"),
)

UNKNOWN: tuple[UnknownTerm, ...] = (
    UnknownTerm(
        names("prostate, prostate gland, seminal vesicle, penis, testis, testes, testicle"), ("urinary_bladder",)
    ),
    UnknownTerm(
        names("uterus, womb, ovary, ovaries, cervix, vagina, fallopian tube, placenta, fetus"), ("urinary_bladder",)
    ),
    UnknownTerm(names("ureter, urethra"), ("kidneys", "urinary_bladder")),
    UnknownTerm(
        names(
            "colon, large bowel, large intestine, bowel, bowels, intestine, guts, rectum, sigmoid, sigmoid "
            "colon, caecum, cecum, appendix, vermiform appendix, transverse colon, ascending colon, "
            "descending colon, anus, mesentery, omentum"
        ),
        ("duodenum", "stomach"),
    ),
    UnknownTerm(names("small bowel, small intestine, ileum, jejunum"), ("duodenum",)),
    UnknownTerm(
        names(
            "adrenal, adrenal gland, suprarenal gland, suprarenal, renal pelvis, renal cortex, renal "
            "medulla, renal sinus"
        ),
        ("kidneys",),
    ),
    UnknownTerm(
        names(
            "thyroid, thyroid gland, thyroid cartilage, parathyroid gland, epiglottis, vocal cord, pharynx, throat, "
            "hyoid, tongue, oral cavity, tonsil, tooth, teeth, submandibular gland, sublingual gland"
        ),
        ("larynx", "mandible"),
    ),
    UnknownTerm(
        names(
            "brain, cerebrum, cerebellum, cerebral hemisphere, encephalon, lateral ventricle, lateral "
            "ventricles, pituitary, optic nerve, optic chiasm, chiasm, eye, eyes, eyeball, lens, cochlea, "
            "orbit, nose, sinuses, hippocampus, thalamus, white matter, grey matter, gray matter"
        ),
        ("brainstem",),
    ),
    UnknownTerm(names("skull, cranium, maxilla, upper jaw"), ("mandible", "other_bone")),
    UnknownTerm(
        names(
            "clavicle, collarbone, collar bone, scapula, shoulder blade, humerus, humeral head, shoulder girdle, "
            "coccyx, tailbone, tibia, fibula, knee, elbow, shoulder, shoulders, radius bone, ulna, patella, arm, "
            "arms, leg, legs, hands, foot, feet, thigh, thighs"
        ),
        ("other_bone",),
    ),
    UnknownTerm(
        names("hip, hips, hip joint, ilium, iliac bone, iliac crest, ischium, pubis, pubic symphysis, acetabulum"),
        ("hip_bones",),
    ),
    UnknownTerm(names("femoral head, femoral neck, trochanter, femoral shaft"), ("femurs",)),
    UnknownTerm(names("manubrium, xiphoid, xiphoid process"), ("sternum",)),
    UnknownTerm(names("costal cartilage, rib cartilage"), ("ribs",)),
    UnknownTerm((*(f"{n} rib" for n in _NUMBERS), *(f"rib {n}" for n in range(1, 13))), ("ribs",)),
    UnknownTerm(
        names(
            "cervical spine, c spine, cervical vertebra, cervical vertebrae, intervertebral disc, intervertebral "
            "disk, disc, discs, disk, disks, atlas vertebra, axis vertebra, spinal canal, pedicle, facet joint, "
            "endplate, spinous process, transverse process"
        ),
        ("vertebral_column",),
    ),
    UnknownTerm(
        names("bronchus, bronchi, bronchial tree, bronchial airway, main bronchus, bronchiole, airways, carina"),
        ("trachea", "lungs"),
    ),
    UnknownTerm(
        names("lingula, lung segment, pleura, pleural space, lung apex, lung vessels, pulmonary vessels"),
        ("lungs",),
    ),
    UnknownTerm(
        names(
            "caudate lobe, quadrate lobe, liver lobe, liver lobes, liver segment, liver segments, hepatic "
            "lobe, couinaud segment, couinaud segments, bile duct, bile ducts, common bile duct, biliary "
            "tree, hepatic duct"
        ),
        ("liver", "gallbladder"),
    ),
    UnknownTerm(
        names(
            "left atrium, right atrium, left ventricle, right ventricle, atrium, ventricle, atria, "
            "ventricles, heart chamber, heart chambers, myocardium, pericardium, septum, heart valve, mitral "
            "valve, aortic valve, tricuspid valve, coronary, coronary artery, coronary arteries, coronaries, "
            "coronary vessel, coronary calcification, coronary calcium, coronary artery calcification, "
            "coronary plaque"
        ),
        ("heart",),
    ),
    UnknownTerm(
        names(
            "superior vena cava, vena cava superior, superior cava, superior caval vein, svc, brachiocephalic "
            "vein, azygos, azygos vein"
        ),
        ("inferior_vena_cava", "heart"),
    ),
    UnknownTerm(
        names("pulmonary artery, pulmonary arteries, pulmonary trunk, pulmonary vein, pulmonary veins"),
        ("heart", "aorta"),
    ),
    UnknownTerm(
        names(
            "portal vein, vena portae, hepatic vein, hepatic veins, hepatic artery, splenic vein, splenic "
            "artery, mesenteric artery, mesenteric vein, superior mesenteric artery, superior mesenteric "
            "vein, celiac trunk, coeliac trunk, sma, smv, renal artery, renal vein, iliac artery, iliac "
            "arteries, iliac vein, iliac, iliacs, femoral artery, carotid, carotid artery, carotids, jugular "
            "vein, subclavian artery, vertebral artery, blood vessel, blood vessels, vessels, arteries, veins"
        ),
        ("aorta", "inferior_vena_cava"),
    ),
    UnknownTerm(
        names(
            "muscle, muscles, abdominal muscle, abdominal wall, abs, rectus abdominis, oblique muscle, "
            "pectoral muscle, pectoralis, latissimus dorsi, trapezius, quadratus lumborum"
        ),
        ("back_muscles", "iliopsoas_muscles"),
    ),
    UnknownTerm(
        names(
            "gluteus maximus, gluteus medius, gluteus minimus, gluteus maximus muscle, gluteus medius muscle, gluteus "
            "minimus muscle"
        ),
        ("gluteal_muscles",),
    ),
    UnknownTerm(names("fat, visceral fat, subcutaneous fat, adipose tissue, body fat"), ("body",)),
    UnknownTerm(names("diaphragm, hemidiaphragm, hemi diaphragm"), ("lungs", "liver")),
    UnknownTerm(names("mediastinum, thymus"), ("heart", "trachea")),
    UnknownTerm(names("breast, breasts, mammary gland, nipple"), ("lungs", "body")),
    UnknownTerm(names("lymph node, lymph nodes, nodes"), ()),
    UnknownTerm(
        names(
            "ivc filter, vena cava filter, caval filter, filter, clips, screws, hardware, coils, "
            "sternal "
            "wires, nasogastric tube, ng tube, endotracheal tube, chest tube, feeding tube, central line, picc line, "
            "free air, free gas, metal, foreign body, table, patient table, couch, stent, catheter, "
            "pacemaker, implant, prosthesis"
        ),
        ("body",),
    ),
    UnknownTerm(
        names(
            "tumour, tumor, tumours, tumors, mass, masses, lesion, lesions, nodule, nodules, metastasis, "
            "metastases, mets, cyst, cysts, cancer, carcinoma, malignancy, abscess, hematoma, haematoma, "
            "thrombus, clot, polyp, growth, lump, neoplasm, adenoma, hemangioma, haemangioma, ascites, "
            "lymphadenopathy, adenopathy, "
            "consolidation, infiltrate, atelectasis, fracture, hernia, gtv, ctv, ptv"
        ),
        (),
        True,
    ),
)
"""What people ask for and no preset knows."""
