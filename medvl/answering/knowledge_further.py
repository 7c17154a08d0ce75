"""Short true sentences on the structures of ``further_structures``; see ``knowledge``."""

from __future__ import annotations

ANATOMY: dict[str, str] = {
    "sacrum":
        "The sacrum is the bone at the lower end of the spine, grown together from several vertebrae. It joins the "
        "spine to the hip bones.",
    "hip_bones":
        "The hip bones form the pelvis together with the sacrum. Each is grown together from ilium, ischium and pubis "
        "and holds the socket of the hip joint.",
    "femurs": "The femur is the bone of the thigh, the longest of the body. Its head lies in the socket of the hip bone.",
    "ribs":
        "The ribs are curved bones that form the cage of the chest. At the back they join the thoracic vertebrae, in "
        "front most of them reach the sternum by cartilage.",
    "sternum": "The sternum, or breastbone, lies in the middle of the front of the chest. It joins clavicles and ribs.",
    "scapulas":
        "The scapula, or shoulder blade, is a flat bone on the back of the chest that holds the socket of the shoulder.",
    "clavicles": "The clavicle, or collarbone, joins the sternum to the shoulder blade.",
    "humeri": "The humerus is the bone of the upper arm. Its head lies in the socket of the shoulder blade.",
    "costal_cartilages": "The costal cartilages join the ribs to the sternum and let the chest widen in breathing.",
    "back_muscles":
        "The autochthonous muscles of the back run along both sides of the spine. They hold it upright and turn it.",
    "iliopsoas_muscles":
        "The iliopsoas muscle consists of the psoas, which begins beside the lumbar spine, and the iliacus, which "
        "begins inside the hip bone. It bends the hip.",
    "gluteal_muscles":
        "The gluteal muscles lie behind and beside the pelvis. They stretch the hip and hold the pelvis level in walking.",
    "colon":
        "The colon, or large bowel, frames the abdomen from the right lower side to the rectum. It takes water from "
        "what is left of the food.",
    "small_bowel":
        "The small bowel lies between duodenum and colon, in many loops. In it most of the food is taken up.",
    "adrenal_glands":
        "The adrenal glands lie above the kidneys. They make hormones such as cortisol, aldosterone and adrenaline.",
    "thyroid_gland":
        "The thyroid gland lies in front of the windpipe in the neck. Its hormones set the pace of the metabolism. It "
        "holds iodine, which makes it bright on CT.",
    "portal_and_splenic_vein":
        "The portal vein brings blood from the bowel and the spleen to the liver. It begins where the splenic vein "
        "meets the superior mesenteric vein behind the pancreas.",
    "iliac_arteries": "The iliac arteries begin where the aorta divides and supply the pelvis and the legs.",
    "iliac_veins": "The iliac veins bring blood from the legs and the pelvis to the inferior vena cava.",
    "superior_vena_cava":
        "The superior vena cava is the large vein that brings blood from the head, the arms and the chest wall to the "
        "heart.",
    "upper_lobes":
        "The upper lobe is the upper part of a lung. A fissure parts it from the lower lobe, on the right side also "
        "from the middle lobe.",
    "middle_lobe": "The middle lobe is the smallest lobe of the right lung, in front between upper and lower lobe.",
    "lower_lobes": "The lower lobe is the lower and rear part of a lung, behind the oblique fissure.",
    "lung_lobes": "Fissures divide the right lung into upper, middle and lower lobe, the left lung into upper and lower.",
}  # fmt: skip
