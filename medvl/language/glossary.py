"""What words of radiology and of medicine mean, in one or two sentences; nothing of the open scan, no numbers."""

from __future__ import annotations

import re

from .cues import cue

MEANINGS: dict[str, str] = {
    "cardiothoracic_ratio":
        "The cardiothoracic ratio is the width of the heart divided by the width of the chest. It is defined on the "
        "upright chest radiograph; on CT it is only a hint of how large the heart is.",
    "hydronephrosis":
        "Hydronephrosis is a widened renal pelvis, mostly because urine cannot drain. I do not look for it.",
    "ascites": "Ascites is free fluid in the abdomen. Ask whether there is any: I look for it beside liver and spleen.",
    "hernia": "A hernia is tissue or an organ that pushes through a gap in the wall around it. I do not look for it.",
    "cirrhosis": "Cirrhosis is lasting scarring of the liver that changes its shape and work. I do not judge it.",
    "pneumothorax": "A pneumothorax is air between the lung and the chest wall. Ask for one, and I look.",
    "embolism":
        "An embolism is a vessel blocked by something that came with the blood, mostly a clot. A pulmonary embolism "
        "blocks an artery of the lung. I do not look for it.",
    "thrombus": "A thrombus is a blood clot inside a vessel or the heart. I do not look for it.",
    "metastasis": "A metastasis is a tumour that has spread from where it began to another place. I look for "
    "spots, and do not judge what they are.",
    "lesion":
        "A lesion is any spot of tissue that differs from what is around it; the word does not say whether it is "
        "harmless. I look for spots that stand out, and do not judge what they are.",
    "nodule": "A nodule is a small round spot of tissue, in the lung for instance. Ask for any, and I look.",
    "cyst": "A cyst is a closed pocket filled with fluid, mostly near the attenuation of water on CT. I look "
    "for dark spots, and do not judge what they are.",
    "tumour": "A tumour is a growth of tissue, benign or malignant. I look for spots, and do not judge what they are.",
    "pneumonia": "Pneumonia is an infection of the lung. I do not look for it.",
    "consolidation": "A consolidation is lung whose air spaces are filled, by fluid or cells. I look for dense lung.",
    "atelectasis": "Atelectasis is a part of the lung that holds too little air and has collapsed. I do not look for "
    "it.",
    "ground_glass": "Ground glass is a haze in the lung through which its vessels can still be seen. I do not look "
    "for it.",
    "pancreatitis": "Pancreatitis is an inflammation of the pancreas. I do not judge it.",
    "appendicitis": "Appendicitis is an inflammation of the appendix. I do not judge it.",
    "diverticulitis": "Diverticulitis is an inflammation of small pouches of the bowel's wall. I do not judge it.",
    "cholecystitis": "Cholecystitis is an inflammation of the gallbladder. I do not judge it.",
    "lymphadenopathy": "Lymphadenopathy means enlarged or unusual lymph nodes. I do not look for it.",
    "dissection": "A dissection is a tear in the inner wall of an artery, so that blood runs within the wall. I do not "
        "look for it.",
    "stenosis": "A stenosis is a narrowing, of a vessel for instance. I do not judge it.",
    "fracture": "A fracture is a broken bone. I do not look for it.",
    "scoliosis": "Scoliosis is a spine that is bent to the side. I do not measure its angle.",
    "edema": "Edema is fluid that has collected in tissue. I do not look for it.",
    "dextrocardia": "Dextrocardia is a heart that lies in the right half of the chest, its tip to the right.",
    "situs_inversus": "In situs inversus the organs lie as in a mirror, the liver on the left for instance.",
    "ileus": "An ileus is a bowel that does not move its content on, blocked or not. I do not look for it.",
    "benign": "Benign means not cancerous: it does not grow into other tissue or spread. I do not judge it.",
    "malignant": "Malignant means cancerous: it can grow into other tissue and spread. I do not judge it.",
    "attenuation":
        "Attenuation is how strongly tissue weakens X-rays. On CT it is given in Hounsfield units (HU): the higher, "
        "the brighter in the picture.",
    "hypodense": "Hypodense means darker on CT than what is around it: it weakens X-rays less.",
    "hyperdense": "Hyperdense means brighter on CT than what is around it: it weakens X-rays more.",
    "parenchyma": "Parenchyma is the working tissue of an organ, without its vessels, ducts and covering.",
}  # fmt: skip

_WORDS: dict[str, re.Pattern[str]] = {
    "cardiothoracic_ratio": cue("cardio ?-?thoracic (ratio|index)|ctr"),
    "hydronephrosis": cue("hydronephro*"),
    "ascites": cue("ascites"),
    "hernia": cue("hernias?"),
    "cirrhosis": cue("cirrho*"),
    "pneumothorax": cue("pneumothora*"),
    "embolism": cue("(pulmonary |lung )?embol*"),
    "thrombus": cue("thromb*|(blood )?clots?"),
    "metastasis": cue("metasta*|mets"),
    "lesion": cue("lesions?"),
    "nodule": cue("(lung |pulmonary )?nodules?"),
    "cyst": cue("cysts?"),
    "tumour": cue("tumou?rs?|neoplas*|mass|masses"),
    "pneumonia": cue("pneumonia"),
    "consolidation": cue("consolidat*"),
    "atelectasis": cue("atelecta*"),
    "ground_glass": cue("ground ?-?glass( opacit*| pattern)?|ggo"),
    "pancreatitis": cue("pancreatitis"),
    "appendicitis": cue("appendicitis"),
    "diverticulitis": cue("diverticul*"),
    "cholecystitis": cue("cholecystitis"),
    "lymphadenopathy": cue("lymph ?adenopath*|adenopath*"),
    "dissection": cue("(aortic )?dissections?"),
    "stenosis": cue("stenos(is|es)"),
    "fracture": cue("fractures?"),
    "scoliosis": cue("scoliosis"),
    "edema": cue("o?edema"),
    "dextrocardia": cue("dextrocardia"),
    "situs_inversus": cue("situs inversus"),
    "ileus": cue("ileus"),
    "benign": cue("benign"),
    "malignant": cue("malignan*"),
    "attenuation": cue("attenuation|radiodensity"),
    "hypodense": cue("hypo ?-?(dens*|attenuat*)"),
    "hyperdense": cue("hyper ?-?(dens*|attenuat*)"),
    "parenchyma": cue("parenchyma*"),
}
_ASKS = cue(
    "((and|so|ok|okay|please|can you|could you) )*(what (does|do)( the (word|term))?|what (is|are)( meant by)?( an?)?|"
    "define|explain( what)?( an?)?|meaning of|(what is )?the (meaning|definition) of|(tell|teach) me what( an?)?|"
    "what exactly is( an?)?)"
)
_REST = cue(
    "((mean|means|stand|for|is|are|a|an|exactly|again|please|in|medicine|radiology|medically|on|ct|at|all|[?.!]) ?)*"
)

_MEANS = cue("(mean|means|stand|stands)( for)?( (exactly|actually|again|here))?( _){0,3}( ?[?.!])*$")


def meant(text: str) -> str:
    """Id of the word that a clause asks the meaning of, "" if it asks for no meaning or for another word's.

    "What is ascites" asks for a meaning, "what is the tumour" and "is there ascites" ask of the scan.
    """
    asked = _ASKS.match(text)
    if asked is None:
        return ""
    rest = text[asked.end() :].strip()
    for id, pattern in _WORDS.items():
        word = pattern.match(rest)
        behind = rest[word.end() :].strip() or "?" if word else ""
        if word and (_REST.fullmatch(behind) or _MEANS.match(behind)):  # chatter behind "mean" asks nothing
            return id
    return ""
