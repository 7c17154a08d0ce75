"""Short true sentences on the structures of ``further_structures``; see ``knowledge``."""

from __future__ import annotations

ANATOMY: dict[str, str] = {
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
