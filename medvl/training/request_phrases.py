"""Wordings that ``requests`` fills: own sentences with slots, an intent or a value each.

``{s}`` is a structure with its article, ``{n}`` the bare noun, ``{a}`` one with "a", ``{t}`` a second structure,
``{pair}`` and ``{pairone}`` the plain noun of a paired organ. None is taken from the question set.
"""

from __future__ import annotations


def _lines(text: str) -> tuple[str, ...]:
    """Alternatives between ``|``."""
    return tuple(" ".join(part.split()) for part in text.split("|"))


SEGMENT = _lines(
    """
    {n} | segment {s} | segment {n} | show {s} | show me {s} | outline {s} | contour {s} | delineate {s} | draw {s}
    | draw an outline around {s} | make a mask of {s} | i need a mask for {s} | give me {s} | give me the contour of
    {s} | mark {s} in the scan | highlight {n} in the images | put a mask on {s} | extract {s} | isolate {s} | find
    {s} and outline it | display {s} in 3d | show only {s} | i want to look at {s} | let me see {s} | run the
    segmentation for {s} | {n} segmentation | {n} mask | annotate {s} | label {s} for me | can you trace {s} | i
    would like to have {s} segmented | where is {s}? draw it | paint {s} | colour in {s} | auto contour of {n} |
    could you pick out {s} | render {s} as a surface | get me {s} | create a region of interest for {s} | locate {s}
    and highlight it
    """
)
MEASURE: dict[str, tuple[str, ...]] = {
    "volume": _lines(
        """
        volume of {s} | {n} volume | how big is {s} | how large is {s} | what size is {s} | what is the volume of
        {s} | how many ml does {s} have | how many cubic centimetres is {s} | measure {s} | size of {s} | give me
        the size of {s} | how much volume does {s} take up | compute the {n} volume | {n} size in ml | how
        voluminous is {s} | tell me the capacity of {s} | what does {s} amount to in millilitres | volumetry of {s}
        | total volume of {s} in cc
        """
    ),
    "mean_hu": _lines(
        """
        mean hu of {s} | density of {s} | {n} density | what is the attenuation of {s} | {n} hounsfield | how bright
        is {s} | how dense is {s} | average hounsfield value in {s} | hu in {s} | what is the average intensity of
        {s} | mean ct number of {s} | mean grey value of {s} | how dark is {s} on average | hounsfield units within
        {s} | radiodensity {n} | what hu do you get for {s}
        """
    ),
    "diameter": _lines(
        """
        diameter of {s} | {n} diameter | how wide is {s} | how thick is {s} | what is the largest diameter of {s} |
        calibre of {s} | maximal {n} diameter in mm | {n} width | how broad is {s} at the widest place | measure the
        cross section of {s} | longest axis of {s}
        """
    ),
    "slices": _lines(
        """
        on which slices is {s} | slice range of {s} | which slices show {s} | first and last slice of {s} | in which
        images can i see {s} | at which slice does {s} start | where does {s} end, slice number | {n} slices | what
        slices contain {s} | through which slices does {s} run
        """
    ),
    "position": _lines(
        """
        where is {s} | where can i find {s} | position of {s} | where does {s} lie | location of {n} | whereabouts
        is {s} | tell me where {s} sits | in which part of the body is {s} | which side is {s} on | centre of {s}
        """
    ),
    "extent": _lines(
        """
        how long is {s} | length of {s} | how tall is {s} | height of {s} | craniocaudal extent of {s} | dimensions
        of {s} | how far does {s} reach from top to bottom | {n} length in cm | {n} span | vertical length of {s}
        """
    ),
    "count": _lines(
        """
        how many {pair} are there | how many {pair} does the patient have | count the {pair} | number of {pair}
        """
    ),
}
SIDE_CLAIM = _lines(
    """
    is {s} on the {side} | does {s} lie on the {side} side | {s} is on the {side}, correct? | is {s} left or right,
    i think {side}
    """
)
COMPARE: dict[str, tuple[str, ...]] = {
    "volume": _lines(
        """
        compare {s} and {t} | compare {s} with {t} | {s} versus {t} | compare the volumes of {s} and {t} | which is
        larger, {s} or {t} | which one is bigger: {s} or {t} | size of {s} compared with {t} | what is the size
        difference between {s} and {t} | ratio of {s} to {t} | how does {s} compare to {t}
        """
    ),
    "mean_hu": _lines(
        """
        compare the density of {s} and {t} | which is brighter, {s} or {t} | which one is denser, {s} or {t} | hu
        difference between {s} and {t} | {s} versus {t} in attenuation | compare hounsfield units of {s} and {t} |
        which has the lower hu, {s} or {t}
        """
    ),
}
COMPARE_PAIR: dict[tuple[str, str], tuple[str, ...]] = {
    ("volume", "larger"): _lines(
        """
        which {pairone} is larger | which {pairone} is the bigger one | what {pairone} has more volume | do the two
        {pair} differ in volume, which is larger
        """
    ),
    ("volume", "smaller"): _lines("which {pairone} is smaller | which of the {pair} is the smaller one"),
    ("volume", ""): _lines("are the {pair} the same size | compare both {pair} | are the {pair} symmetric in volume"),
    ("mean_hu", "brighter"): _lines("which {pairone} is brighter | which {pairone} has the higher density"),
    ("mean_hu", "darker"): _lines("which {pairone} is darker | which {pairone} has the lower hu"),
}
COMPARE_CLAIM: dict[str, tuple[str, ...]] = {
    "larger": _lines("is {s} bigger than {t} | is {s} larger than {t} | does {s} have more volume than {t}"),
    "smaller": _lines("is {s} smaller than {t} | does {s} have less volume than {t}"),
    "brighter": _lines("is {s} brighter than {t} | is {s} denser than {t} | does {s} have a higher hu than {t}"),
    "darker": _lines(
        """
        is {s} darker than {t} | is {s} less dense than {t} | is the attenuation of {s} below that of {t}
        """
    ),
}
CHOOSE: dict[str, tuple[str, ...]] = {
    "larger": _lines("the larger {pairone} | show the bigger {pairone} | segment whichever {pairone} is larger"),
    "smaller": _lines(
        """
        the smaller {pairone} | segment the smaller of the two {pair} | show the {pairone} that is smaller
        """
    ),
    "brighter": _lines(
        """
        the brighter {pairone} | outline the denser {pairone} | show the {pairone} with more attenuation
        """
    ),
    "darker": _lines("the darker {pairone} | mark the less dense {pairone} | the {pairone} with the lower hu"),
}
RELATION: dict[tuple[str, str], tuple[str, ...]] = {
    ("distance", ""): _lines(
        """
        how far is {s} from {t} | distance between {s} and {t} | distance from {s} to {t} | how much space is
        between {s} and {t} | how close is {s} to {t} | gap from {s} to {t} in mm | what separates {s} from {t}, in
        millimetres
        """
    ),
    ("touching", "touching"): _lines(
        """
        does {s} touch {t} | are {s} and {t} touching | is {s} in contact with {t} | do {s} and {t} border on each
        other | is {s} adjacent to {t} | does {s} abut {t} | is {s} right next to {t}
        """
    ),
    ("side", ""): _lines("on which side of {t} is {s} | is {s} left or right of {t}"),
    ("side", "left"): _lines(
        """
        is {s} to the left of {t} | does {s} lie left of {t} | {s} is on the left side of {t}?
        """
    ),
    ("side", "right"): _lines("is {s} to the right of {t} | does {s} lie right of {t} | is {s} on the right of {t}"),
    ("above", ""): _lines("is {s} above or below {t} | which is higher, {s} or {t} | which lies lower, {s} or {t}"),
    ("above", "above"): _lines(
        """
        is {s} above {t} | does {s} lie higher than {t} | is {s} cranial to {t} | is {s} over {t} | is {s} superior
        to {t}
        """
    ),
    ("above", "below"): _lines(
        """
        is {s} below {t} | is {s} under {t} | does {s} lie lower than {t} | is {s} caudal to {t} | is {s} inferior
        to {t}
        """
    ),
    ("front", ""): _lines("is {s} in front of or behind {t} | is {s} ventral or dorsal to {t}"),
    ("front", "front"): _lines(
        """
        is {s} in front of {t} | is {s} anterior to {t} | does {s} lie ventral to {t} | is {s} before {t}
        """
    ),
    ("front", "behind"): _lines(
        """
        is {s} behind {t} | is {s} posterior to {t} | does {s} lie dorsal to {t} | is {s} at the back of {t}
        """
    ),
    ("direction", ""): _lines(
        """
        where is {s} relative to {t} | how does {s} lie to {t} | in which direction is {s} seen from {t} | where
        does {s} lie in relation to {t} | position of {s} with respect to {t}
        """
    ),
}
NEAREST = _lines(
    """
    what is next to {s} | what lies near {s} | which organ is closest to {s} | what is around {s} | neighbours of
    {s} | what is above {s} | what is behind {s} | what touches {s} | which structures border {s} | what sits in
    front of {s}
    """
)
PRESENCE = _lines(
    """
    is there {a} | is {s} there | can you see {s} | is {s} visible | do you see {a} | is {s} in the scan | does the
    patient have {a} | is {s} completely covered | any {n} here? | was {s} removed | has {s} been taken out | is {s}
    missing | is {s} cut off at the edge | does the image include {s} | is {s} present | is the whole {n} inside the
    field of view
    """
)
FINDING: dict[str, tuple[str, ...]] = {
    "steatosis": _lines(
        """
        is the liver fatty | fatty liver? | any steatosis | is there fat in the liver | hepatic steatosis present? |
        check for liver fat | signs of fatty liver disease | does the liver contain too much fat
        """
    ),
    "liver_spleen_difference": _lines(
        """
        liver spleen difference | liver-to-spleen attenuation gap | difference of liver and spleen hu for fat
        """
    ),
    "hepatomegaly": _lines("is the liver enlarged | enlarged liver? | is the liver too big | check for hepatomegaly"),
    "splenomegaly": _lines("is the spleen enlarged | splenomegaly? | is the spleen too large | enlarged spleen?"),
    "cardiomegaly": _lines("is the heart enlarged | enlarged heart? | is the heart too big | check for cardiomegaly"),
    "emphysema": _lines(
        """
        is there emphysema | emphysema{inlung}? | any emphysematous change{inlung} | how much low attenuation lung
        is there | percent of lung below -950 | check for emphysema{inlung} | copd changes{inlung}?
        """
    ),
    "pleural_effusion": _lines(
        """
        is there a pleural effusion{inlung} | pleural effusion{inlung}? | fluid around the lungs? | any fluid in the
        pleural space{inlung} | is there water in the chest
        """
    ),
    "aortic_aneurysm": _lines(
        """
        is there an aneurysm | aortic aneurysm? | is the aorta dilated | is the aorta widened | check the aorta for
        aneurysm | does the aorta look ectatic
        """
    ),
    "aortic_calcification": _lines(
        """
        is there calcium in the aorta | aortic calcification? | are there plaques in the aorta | how calcified is
        the aorta | calcified aortic wall? | atherosclerosis of the aorta
        """
    ),
    "bone_density": _lines(
        """
        bone density | is there osteoporosis | osteopenia? | how is the bone mineral density | are the vertebrae
        porous | is the spine demineralised | bone quality of the spine
        """
    ),
    "gallstones": _lines(
        """
        are there gallstones | gallstones? | any stones in the gallbladder | is there a gallbladder stone | check
        for cholelithiasis | gall stone visible?
        """
    ),
    "renal_stones": _lines(
        """
        are there kidney stones | kidney stones{inkidney}? | any stone{inkidney} | is there
        nephrolithiasis{inkidney} | check for renal calculi{inkidney} | calculus{inkidney}?
        """
    ),
    "kidney_asymmetry": _lines(
        """
        are the kidneys symmetric | is one kidney much smaller | kidney asymmetry? | do the kidneys differ in size |
        are both kidneys equally big
        """
    ),
}
SCAN: dict[str, tuple[str, ...]] = {
    "spacing": _lines(
        """
        voxel size | pixel spacing? | how thick are the slices | slice thickness of this ct | what is the resolution
        | distance between slices | how fine is the scan
        """
    ),
    "size": _lines(
        """
        matrix size | how big is the volume in voxels | image dimensions | how many pixels | what shape has the scan
        """
    ),
    "contrast": _lines(
        """
        is there contrast | contrast agent given? | which phase is it | native or enhanced? | arterial or portal
        venous | was iodine injected | is it a non contrast ct | contrast phase?
        """
    ),
    "orientation": _lines(
        """
        how is the scan oriented | orientation of the volume | is the patient supine or prone | which axis is which
        """
    ),
    "coverage": _lines(
        """
        which part of the body is it | what body region is scanned | from where to where was scanned | is the pelvis
        included | does it cover the chest | field of view? | anatomic coverage
        """
    ),
    "hu_range": _lines(
        """
        range of hu values | minimum and maximum hu | what is the intensity range | highest and lowest grey value
        """
    ),
    "slices": _lines("how many slices | number of slices | slice count of this ct | how many images does it have"),
}
REPORT = _lines(
    """
    write a report | report | describe the scan | describe this ct | summarise what you see | what do you see in the
    scan, in sentences | make a radiology report | structured report please | give me an overview of the case |
    findings and impression | read the scan for me | can you summarise the ct
    """
)
LIST = _lines(
    """
    what can you segment | which organs do you know | list all structures | list the organs | what is visible here |
    which organs can i ask for | what structures are in the scan | what did you find | show the list of organs |
    which anatomy do you recognise
    """
)
REMOVE = _lines(
    """
    remove {s} | delete {s} | take {s} away | erase the {n} mask | delete the mask of {s} | get rid of
    {s} | i no longer need {s} | drop the {n} contour | clear the {n}
    segmentation
    """
)
REMOVE_ALL = _lines(
    """
    remove all masks | clear everything | delete all | start over with the masks | reset the masks
    """
)
NEGATED = _lines(
    """
    do not segment {s} | don't outline {s} | please don't mark {s} | leave {s} alone | i do not want {s} | no {n}
    please | not {s} | skip {s} | without {s} please | do not touch {s}
    """
)
INSTEAD = _lines(
    """
    not {t}, {s} | segment {s} but not {t} | {s}, not {t} | leave {t} out and show {s} | don't draw {t}, draw {s} |
    i said {s}, not {t} | {s} instead of {t}
    """
)
BODY_FUNCTION = _lines(
    """
    what does {s} do | what is {s} for | function of {s} | why do we have {a} | what is the job of {s} | explain {s}
    | how does {s} work | what is the purpose of {s} | tell me about {s} in general
    """
)
