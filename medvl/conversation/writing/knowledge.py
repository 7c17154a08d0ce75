"""Short true sentences on CT and anatomy, on what this program can do, and on what it does not answer.

None of them speaks of the open scan, and none holds a number that would need a source: measured values and published
thresholds come as facts, with their reference. ``text`` is the only way in.
"""

from __future__ import annotations

from ...language.glossary import MEANINGS as _MEANINGS
from ...vocabulary.names import STRUCTURES

_ANATOMY: dict[str, str] = {
    "liver":
        "The liver lies in the right upper abdomen under the diaphragm. It makes bile, stores sugar, builds "
        "proteins of the blood and breaks down drugs and waste.",
    "spleen":
        "The spleen lies in the left upper abdomen behind the stomach. It filters the blood, removes old red "
        "cells and takes part in the immune defence.",
    "kidneys":
        "The kidneys lie on both sides of the spine behind the peritoneum. They filter the blood, make urine and "
        "regulate water, salts and blood pressure.",
    "stomach":
        "The stomach lies in the left upper abdomen between esophagus and duodenum. It stores food, mixes it "
        "with acid and begins its digestion.",
    "gallbladder":
        "The gallbladder lies under the liver. It stores and thickens bile and empties it into the duodenum "
        "after a meal.",
    "pancreas":
        "The pancreas lies behind the stomach, its head in the loop of the duodenum. It makes digestive enzymes "
        "and hormones that control blood sugar, insulin among them.",
    "aorta":
        "The aorta is the largest artery. It carries blood from the heart through chest and abdomen, where it "
        "runs in front of the spine, and divides into the arteries of the pelvis and legs.",
    "heart":
        "The heart lies between the lungs, its tip to the left. It is a hollow muscle with four chambers that "
        "pumps blood through the lungs and the body.",
    "lungs":
        "The lungs fill both sides of the chest. In them blood takes up oxygen and gives off carbon dioxide. The "
        "right lung has three lobes, the left two.",
    "trachea":
        "The trachea, or windpipe, leads air from the larynx to the two main bronchi. It lies in front of the "
        "esophagus.",
    "esophagus":
        "The esophagus, or gullet, carries food from the throat to the stomach. It lies behind the trachea and "
        "the heart.",
    "urinary_bladder":
        "The urinary bladder lies low in the pelvis behind the pubic bone. It stores urine; its volume depends "
        "on how full it is at the time.",
    "vertebral_column":
        "The vertebral column, or spine, carries the trunk and protects the spinal cord. It is built of "
        "vertebrae with discs between them.",
    "other_bone":
        "By other bones this program means every bone outside the vertebral column, such as ribs, pelvis and "
        "shoulder blades.",
    "bones":
        "Bones carry the body, protect organs and hold the marrow in which blood cells are made. On CT their "
        "dense outer layer looks white.",
    "inferior_vena_cava":
        "The inferior vena cava is the large vein that brings blood from the legs and the abdomen back to the "
        "heart. It runs to the right of the aorta in front of the spine.",
    "great_vessels":
        "The great vessels of the abdomen are the aorta, which carries blood away from the heart, and the "
        "inferior vena cava, which brings it back.",
    "duodenum":
        "The duodenum is the first part of the small bowel. Bile and the juice of the pancreas reach the food in "
        "it.",
    "brainstem":
        "The brainstem joins the brain to the spinal cord. It controls breathing, heartbeat and other functions "
        "that run without will.",
    "spinal_cord": "The spinal cord runs in the canal of the spine and carries signals between the brain and the body.",
    "parotids":
        "The parotid glands lie in front of and below the ears. They are the largest salivary glands and make "
        "saliva.",
    "larynx":
        "The larynx, or voice box, lies in the neck above the trachea. It holds the vocal cords and keeps food "
        "out of the airway.",
    "mandible": "The mandible is the lower jaw. It carries the lower teeth.",
    "body": "The body outline is the outer surface of the person, without table and air.",
    "sacrum":
        "The sacrum is the bone at the lower end of the spine, grown together from several vertebrae. It joins the "
        "spine to the hip bones.",
    "hip_bones":
        "The hip bones form the pelvis together with the sacrum. Each is grown together from ilium, ischium and pubis "
        "and holds the socket of the hip joint.",
    "femurs":
        "The femur is the bone of the thigh, the longest of the body. Its head lies in the socket of the hip bone.",
    "ribs":
        "The ribs are curved bones that form the cage of the chest. At the back they join the thoracic vertebrae, in "
        "front most of them reach the sternum by cartilage.",
    "sternum": "The sternum, or breastbone, lies in the middle of the front of the chest. It joins clavicles and ribs.",
    "lumbar_vertebrae":
        "The lumbar vertebrae are the largest ones. They bear no ribs; the lowest lies on the sacrum.",
    "thoracic_vertebrae":
        "The thoracic vertebrae are those that bear ribs. They grow larger from above downward.",
    "single_vertebrae":
        "A vertebra has a body in front and an arch behind, which surrounds the canal of the spinal cord. Discs lie "
        "between the bodies.",
    "back_muscles":
        "The autochthonous muscles of the back run along both sides of the spine. They hold it upright and turn it.",
    "iliopsoas_muscles":
        "The iliopsoas muscle consists of the psoas, which begins beside the lumbar spine, and the iliacus, which "
        "begins inside the hip bone. It bends the hip.",
    "gluteal_muscles":
        "The gluteal muscles lie behind and beside the pelvis. They stretch the hip and hold the pelvis level in "
        "walking.",
    "upper_lobes":
        "The upper lobe is the upper part of a lung. A fissure parts it from the lower lobe, on the right side also "
        "from the middle lobe.",
    "middle_lobe": "The middle lobe is the smallest lobe of the right lung, in front between upper and lower lobe.",
    "lower_lobes": "The lower lobe is the lower and rear part of a lung, behind the oblique fissure.",
    "pelvic_bones":
        "The bony pelvis is a ring of the two hip bones and the sacrum. It carries the trunk and protects the bladder.",
    "right_lung_lobes": "The right lung has an upper, a middle and a lower lobe, parted by two fissures.",
    "left_lung_lobes": "The left lung has an upper and a lower lobe, parted by the oblique fissure.",
    "lung_lobes":
        "Fissures divide the right lung into upper, middle and lower lobe, the left lung into upper and lower.",
}  # fmt: skip

_TOPICS: dict[str, str] = {
    "hounsfield_unit":
        "The Hounsfield unit (HU) is the scale of CT. It tells how strongly tissue weakens X-rays, with water at "
        "zero and air at minus one thousand by definition. Fat lies a little below water, soft tissue a little "
        "above, and dense bone, calcium and metal far above, which is why they look white.",
    "brightness":
        "What a voxel shows is its HU within the window that is chosen: air and lung are black, fat is dark, water and "
        "soft tissue are grey, and contrast medium, calcium, bone and metal are white. I cannot see which "
        "spot is meant: "
        "its HU stands under the cursor in the viewer, and a click there makes a mask that I can measure.",
    "typical_hu":
        "Air has minus one thousand HU and water zero, by definition. Fat lies about one hundred below zero, fluid "
        "near zero, soft tissue, muscle and blood without contrast at a few tens above it, and calcium, "
        "bone and metal at "
        "several hundred and more. These are not measured on this scan: fat, air and fluid have no mask of their own "
        "here; click a spot in the viewer to measure it.",
    "contents":
        "What a structure holds is not told apart. Its HU are a hint: air is far below zero, fluid near zero, soft "
        "tissue a few tens above it, contrast medium and calcium well above.",
    "ct":
        "CT stands for computed tomography. An X-ray tube turns around the body, detectors measure how much "
        "passes through from every side, and a computer works out how strongly each small volume weakens the "
        "rays.",
    "ct_mri":
        "CT measures how tissue weakens X-rays: it is fast and shows bone, lung and calcium well. MRI uses a "
        "magnetic field and radio waves, no X-rays, and tells soft tissues apart better. CT values are on a "
        "fixed scale, MRI values are not.",
    "contrast":
        "A contrast agent with iodine, given into a vein, makes blood and well-supplied tissue brighter for a "
        "while, so that vessels and organs stand out. A scan without it is called native or non-contrast; some "
        "measurements, such as liver fat or bone density, are defined only there.",
    "contrast_phase":
        "The phase tells how long after the injection was scanned. In the arterial phase the contrast is in the "
        "arteries, so the aorta is much brighter than the veins. In the portal venous phase it has reached the "
        "veins and the liver. Later it is excreted by the kidneys into the bladder.",
    "window":
        "A window chooses which Hounsfield units are shown from black to white. A lung window is wide and low so "
        "that air and vessels of the lung can be told apart; a soft tissue window is narrow around the values of "
        "organs; a bone window is wide and high. It changes the picture, not the data.",
    "planes":
        "Axial slices cut across the body from head to foot, coronal slices divide front from back, and sagittal "
        "slices divide left from right.",
    "left_right":
        "By convention a CT is looked at from the feet of a person lying on the back, so the patient's right is "
        "on the left of the picture. Left and right in my answers are always the patient's.",
    "voxel":
        "A voxel is one small box of the volume, as a pixel is one small square of a picture. Its size is the "
        "spacing of pixels and slices. The larger it is, the more tissues are mixed in one value.",
    "artifact":
        "Artifacts are patterns that are not in the body: streaks from metal or dense contrast, blur from "
        "movement, noise from a low dose. They change Hounsfield units near them.",
    "radiation":
        "CT uses X-rays, which carry a small risk that grows with the dose. The dose depends on the scanner, the "
        "region and the person, so doctors weigh it against what the scan is for. The dose is not stored in the "
        "volume that I read; please ask your doctor or the department about it.",
    "segmentation":
        "Segmentation marks every voxel that belongs to a structure. The result is a mask: from it come volume, "
        "mean HU, diameters and the 3-D surface. A mask can be corrected with clicks.",
    "measurement":
        "The volume is the number of voxels in the mask times the size of one voxel. Mean HU is the average over "
        "those voxels. Diameters and distances are taken between voxel positions in millimetres. The width of a "
        "vessel is the short axis of its section, slice by slice, so that an oblique cut does not widen it. All are "
        "computed from the masks, none is written by a language model.",
    "system":
        "A small network finds the structures that are named, and the Hounsfield units at their edge decide where it "
        "runs; clicks and boxes go to SAM 2 and a network that carries a mask from slice to slice. Numbers are "
        "computed from the masks. Words are understood by a small encoder and rules, or by the language model of the "
        "preset where it has one. Whether this very scan was among those that the networks were trained on I do not "
        "know; the model card lists the collections.",
    "modality":
        "Every volume opened here is read as a CT, with values in Hounsfield units. Other kinds of images, such "
        "as MRI, are not meant for this program. How it was acquired is not stored in the volume itself.",
    "nifti_dicom":
        "DICOM is the format of scanners, one file a slice with a header. NIfTI, NRRD and MetaImage store a "
        "whole volume in one file. All of them can be opened here.",
    "reference_ranges":
        "What is normal depends on age, sex and body size, so I state a threshold only with the publication it "
        "comes from. Ask, for instance, whether the spleen or the liver is enlarged; every other value is given "
        "as measured, without a judgement.",
    "steatosis":
        "Steatosis, or fatty liver, is fat stored in the cells of the liver. Fat lowers the Hounsfield units, so "
        "it is judged by the attenuation of the liver on a scan without contrast.",
    "liver_spleen_difference":
        "The difference between the attenuation of liver and spleen is used to judge liver fat, since fat lowers "
        "the liver and not the spleen. It is defined on scans without contrast.",
    "emphysema":
        "Emphysema is a lasting loss of lung tissue that leaves enlarged air spaces. On CT it shows as lung of "
        "very low attenuation, and its share of the lung can be measured.",
    "aortic_aneurysm":
        "An aneurysm is a lasting widening of an artery. In the aorta it is judged by the largest diameter "
        "across the vessel.",
    "bone_density":
        "Osteoporosis is a loss of bone mass and strength; osteopenia is a lesser loss. The attenuation of the "
        "spongy bone in the vertebrae gives a hint of it, best on a scan without contrast, but the diagnosis "
        "rests on other examinations.",
    "gallstones":
        "Gallstones are hard deposits formed from bile in the gallbladder. Only those with enough calcium are "
        "bright on CT; others cannot be seen, so a CT without stones does not exclude them.",
    "renal_stones":
        "Kidney stones are crystals formed from urine. Nearly all of them are bright on CT, but contrast "
        "excreted by the kidneys can hide them.",
    "pleural_effusion":
        "A pleural effusion is fluid between the lung and the chest wall. Free fluid runs to the lowest place: in a "
        "person scanned on the back that is behind the lung. Its values are near those of water.",
    "aortic_calcification":
        "Calcification of the aorta is calcium in its wall, a sign of atherosclerosis. It is much brighter than "
        "blood, unless contrast makes the blood as bright.",
    "splenomegaly": "Splenomegaly means an enlarged spleen.",
    "hepatomegaly": "Hepatomegaly means an enlarged liver.",
    "cardiomegaly": "Cardiomegaly means an enlarged heart.",
    "not_found":
        "A structure is not found where it lies outside the scan or was taken out, and sometimes because the network "
        "misses it: small, cut or unusual ones most of all. If you see it in the picture, mark it with clicks or a box "
        "in the viewer, and I measure that mask.",
    "no_text": "I have no text on that structure; I know only those that I can segment.",
    "weight": "Weight is not measured: a CT shows how much room a structure takes, and its density only roughly.",
    "vertebral_level":
        "I do not tell at which vertebra something lies; levels are told as slices. Single vertebrae can be asked for "
        "by name, and their slices too.",
    "aorta_parts":
        "The aorta is one mask here, its parts not told apart in it. Its width is told by part (ascending, "
        "descending, suprarenal, infrarenal), each with the slice; its volume is that of all of it.",
    "kidney_asymmetry": "Kidney asymmetry means that the two kidneys differ clearly in size.",
    "fluid_kind":
        "Water has zero HU by definition and blood lies some tens of HU above it. Values in between fit thin fluid, "
        "protein or old blood alike, so HU alone do not tell a transudate from an exudate, pus or blood: that takes a "
        "sample and the treating doctors.",
    "margin":
        "Whether a margin is smooth, lobulated or spiculated is not judged here: it is to be seen by eye, in a lung "
        "window for a spot in the lung.",
}  # fmt: skip

_CHAT: dict[str, str] = {
    "greeting": "Hello. Ask me to segment a structure, to measure it, to compare or to describe this scan.",
    "thanks": "You are welcome.",
    "export":
        "Masks, measurements and the report are saved from the page, masks as NIfTI or DICOM-SEG in the geometry "
        "of the file that came in. On the command line: python -m medvl segment and python -m medvl report.",
    "start":
        "What matters most is for you to say; I do not rank findings. To begin: \"describe this scan\" measures the "
        "organs and checks the published signs, \"what organs can you see\" lists what is there, and every sentence "
        "leads to its mask.",
    "not_seen":
        "Every mask stands in the list of masks, where its eye shows or hides it and a click on its row "
        "takes the viewer "
        "there. From here: \"show the masks again\", or \"go to the liver\". Where there is none yet, ask for one, for "
        "instance: segment the liver.",
    "goodbye": "Goodbye.",
    "acknowledge": "All right. What would you like to look at next?",
    "identity":
        "I am MedVL-SAM2, a research program for CT, not a doctor. I find structures, measure them and say where "
        "each number comes from. Research use only, not for diagnosis.",
    "capabilities":
        "I can segment organs by name or description, measure volume, mean HU, diameters and slice ranges, "
        "compare structures, say how they lie to one another, check published signs such as liver fat or aortic "
        "diameter, read the scan's geometry, and write a report. Masks can be corrected with clicks.",
    "limits":
        "I do not diagnose and do not advise. I look for spots, fluid, gas, metal and calcium, and do not judge what "
        "they are; fractures, bleeding, lymph nodes and bowel are not looked for. Structures that I was not trained "
        "on cannot be segmented by name, only by clicks or a box in the viewer. Masks can be wrong, most of all those "
        "of small organs, of organs cut by the border of the scan, and in scans unlike those trained on. I read no "
        "names, dates or scanner settings.",
    "responsible":
        "Whoever uses a result is to check it: this is research software without any warranty and no medical device. "
        "Look at the outline before you rely on a number; for care, ask a radiologist or the treating doctor.",
    "other_units":
        "I do not convert to that unit. Volumes are given in millilitres, cubic centimetres or litres and lengths in "
        "millimetres or centimetres; weights are not measured.",
    "undo":
        "From here I can undo what the chat last made, removed, hid or showed. A window, a colour or a slice is set "
        "again by asking for another, and clicks are undone in the viewer.",
    "accuracy":
        "Masks are made by a network and can be wrong, and every number inherits that. Please look at the "
        "outline; a wrong mask can be corrected with clicks and then measured again. Measured accuracy is in the "
        "model card.",
    "sources":
        "Every published sign is told with its publication, and the report lists all of them at its end. Ask, for "
        "instance, whether the aorta is dilated or the liver is fatty.",
    "units":
        "Volumes are given in millilitres, lengths in millimetres and attenuation in Hounsfield units. Add \"in cm\", "
        "\"in litres\" or \"in cc\" to a question for another one.",
    "spread":
        "The standard deviation (SD) tells how far the values of the voxels spread around their mean; the "
        "median is the "
        "value in the middle, with as many voxels below as above.",
    "page":
        "That is done on the page: open another scan, scroll to a slice, click or draw a box in a plane to mark "
        "or correct "
        "a structure, measure with the ruler, set window and zoom, rename a mask or change its opacity in the list, "
        "and look at the masks in every plane "
        "and as surfaces. "
        "From here I can segment by name, hide, colour, measure and report.",
    "edit":
        "I can smooth a mask, fill its holes, keep its largest piece or drop small islands, grow or shrink it, keep a "
        "shell of it or what lies in a range of HU, split it into its pieces, fill between painted slices, merge "
        "masks, subtract one from another or keep what they share, rename, delete, undo and redo; for instance: grow "
        "the liver a bit, or merge the two kidneys. The "
        "list of masks on the page has the same tools, and clicks and boxes in the viewer correct an outline. What I "
        "am asked next is measured on the mask as it is then.",
    "edit_none":
        "There is no tool for that. I can smooth a mask, fill its holes, keep its largest piece, grow, shrink, hollow "
        "and split it, keep a range of HU, merge masks, subtract one from another, rename and delete; the brush, "
        "clicks and boxes in the viewer correct an outline where it is wrong.",
    "restart":
        "The Clear button of the chat forgets what was said; masks stay. To take them away too, ask me to remove all "
        "masks, or delete them in the list.",
    "insult":
        "I am sorry that this did not help. Please tell me what you look for, for instance: how big is the spleen, is "
        "the aorta dilated, or describe this scan.",
    "report_form":
        "The impression is the short form of the report. The report itself has the table, what was not judged and the "
        "sources; on the page every sentence of it can be changed or left out. I keep to one wording, but can explain "
        "a word: ask, for instance, what attenuation means.",
    "wording":
        "I keep to short sentences in one wording. I can explain a word: ask, for instance, what attenuation means, or "
        "what the spleen does.",
    "privacy":
        "With the bundled preset the scan stays in the running program: nothing is sent to another service. If "
        "the page runs on another machine, your scan is on that machine while the session lasts.",
}  # fmt: skip

_REFUSE: dict[str, str] = {
    "negated": "All right, I leave that out.",
    "diagnosis":
        "I do not diagnose or rule out disease; that is for a radiologist. I can look for spots, fluid, gas, metal "
        "and calcium, and measure organs and published signs: ask, for instance, any dark spots in the liver, is the "
        "liver fatty, or describe this scan.",
    "treatment": "I cannot advise on treatment. Please ask the doctor who knows the whole case.",
    "prognosis": "I cannot say how an illness will go on. Please ask the doctor who knows the whole case.",
    "medication": "I cannot advise on drugs or doses. Please ask a doctor or a pharmacist.",
    "emergency":
        "I cannot help with symptoms. If this is about you or someone near you, please call the emergency "
        "services or a doctor now.",
    "acquisition":
        "I do not read the date, the scanner, the hospital or the settings of the acquisition from the file. I "
        "can tell its "
        "voxel size, extent and orientation, and whether contrast was given.",
    "patient": "I do not know who the patient is, and I do not read names, age or sex from the file.",
    "injection": "I keep to what I am for: segmenting, measuring and describing this CT.",
    "off_topic": "That is outside what I do. I answer questions about this CT, its structures and CT in general.",
}  # fmt: skip

_UNKNOWN: dict[str, str] = {
    "":
        "I did not understand that. I read English and Latin names. Try for instance: segment the liver, how "
        "big is the "
        "spleen, is there a gallbladder, what lies behind the stomach, describe this scan.",
    "beyond":
        "That I cannot tell from this volume. I can tell its voxel size, extent, contrast and region, and "
        "segment, measure and compare the structures I know: ask which organs are here.",
    "cause":
        "I measure what is in the scan and cannot say why it is so. That is for a radiologist to say, who knows the "
        "whole case.",
    "unjudged":
        "That I do not judge. Of a structure I can tell whether it is in this scan, its volume, diameters, mean HU, "
        "position and neighbours, and a few published signs of its size or density.",
    "pointed":
        "I cannot tell which spot you mean. Left in my answers is the patient's left, which is on the right of the "
        "picture in axial and coronal slices. Click the spot in the viewer to mark and measure it, or ask which organs "
        "are in this scan.",
    "description":
        "I know no structure that fits this description. Please name it, or ask which organs are here.",
    "antecedent": "Which structure do you mean? Please name it.",
}  # fmt: skip

TOPICS: frozenset[str] = frozenset(_ANATOMY | _MEANINGS | _TOPICS | _CHAT | _REFUSE | _UNKNOWN) | frozenset(STRUCTURES)
"""Every id that there is a text on."""


def text(topic: str) -> str:
    """A few sentences on a topic.

    Args:
        topic: an id of anatomy (structure or group), of a general topic or finding, of small talk or
            of a refusal; one of a pair of organs gives the text of both.
    """
    if topic in STRUCTURES and topic not in _ANATOMY:
        topic = STRUCTURES[topic].group
    for table in (_ANATOMY, _MEANINGS, _TOPICS, _CHAT, _REFUSE, _UNKNOWN):
        if topic in table:
            return table[topic]
    return _UNKNOWN[""]
