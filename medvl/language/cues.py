"""Words that tell what is wanted: one small lexicon an idea, never a list of whole sentences.

A lexicon is written as alternatives with ``|``; ``*`` stands for the rest of a word, ``@`` for a structure that was
named (``intent`` puts it there, so that "inferior vena cava" says nothing about "inferior"), ``_`` for any one word.

Longer than other files: it is a table of words, which is read by searching it, and its parts share what stands above.
"""

from __future__ import annotations

import re
from functools import cache

from ..vocabulary.structure import word_set

WORDS: set[str] = set()
"""Every whole word that a cue looks for: none of them is a misspelling."""


@cache
def cue(*alternatives: str) -> re.Pattern[str]:
    """A pattern that finds any of the alternatives as whole words; compiled once."""
    forms = "|".join(alternatives)
    WORDS.update(re.findall(r"(?<![a-z\\])[a-z]{3,}(?![a-z*])", forms))
    WORDS.update(word + "s" for word in re.findall(r"(?<![a-z\\])([a-z]{3,})s\?", forms))
    forms = re.sub(r"(?<=[a-z])\*", r"\\w*", forms)
    forms = re.sub(r"(?<!\w)_(?!\w)", r"\\S+", forms)
    return re.compile(rf"(?<!\S)(?:{forms})(?!\S)")


# ---- the shape of a sentence

QUESTION_START = cue("is|are|was|were|does|do|did|has|have|had|can|could|would|will|should")
WHICH = cue("which|what|who|whose")
NEGATION = (
    "do not|does not|did not|not|no need|no mask|never mind|never|without|except|excluding|exclude|skip|omit|"
    "leave out|leave|"
    "apart from|besides|other than|instead of|rather than|avoiding|sparing|neither|ignore|spare|all but|"
    "everything but|but not|forget about"
)
NEGATIONS = cue(NEGATION)
NOT_FOUND = cue("(do |did |could |can )?not (find|see|locate|spot|recogni(z|s)e|make out|identify)")
# ends what a negation reaches: "not the liver, the spleen", "no need for the kidneys, just the liver"
NEGATION_ENDS = frozenset({",", ".", ";", "but", "just", "only", "instead", ":", "?", "!"})
DECLINED = re.compile(r"(please |no , |and |but |so )*(do not|never|no need)\b(?! (you|we|i|they)\b)")
EVERYTHING = cue(
    "everything|oars?|organs at risk|all (the )?(organs|structures|parts|anatomy)|every (organ|structure)|"
    "all of (them|it)|whole anatomy|all"
)
REGION_ALL = cue(
    r"(all|every) (the )?(abdominal|thoracic|chest|pelvic|neck) (organ|structure)s?|(everything|all organs|"
    r"all structures)( you can (find|see|segment)| there is| visible)? "
    r"(in|of|inside|within) the (abdomen|belly|chest|thorax|pelvis|neck|head)|(abdominal|thoracic|pelvic) organs"
)
REGION_WORDS = {
    "abdom": ("abdomen",), "belly": ("abdomen",), "chest": ("chest",), "thora": ("chest",), "pelvi": ("pelvis",),
    "neck": ("head_neck",), "head": ("head_neck",),
}  # fmt: skip

# ---- verbs

SEGMENT_STRONG = cue(
    "segment*|outlin*|delineat*|contour*|highlight*|draw*|mask*|isolat*|annotat*|label*|paint*|trac(e|ing)|"
    "color*|mark|marked|"
    "mark up|pick out|extract*|visuali*|display*|overlay*|3d model"
)
SEGMENT_WEAK = cue("show*|see|find|give|get|want|like|need|love|have|let me|do|add|bring up|point out|now|locate")
REMOVE = cue("remove|delete|clear|erase|undo|discard|forget|get rid of|take away|drop|wipe|throw away|unmark|deselect")

# ---- attributes; every one may occur several times in a sentence

ATTRIBUTES: dict[str, re.Pattern[str]] = {
    "largest_slice": cue(
        "((in|on|at) )?(which|what) (axial )?(slice|level|height|image|cut|section)"
        "( _){0,4} (widest|largest|biggest|thickest|broadest|best)|"
        "where( _)? (is|are) (the )?@ (at (its|their) )?(the )?"
        "(widest|largest|biggest|thickest|broadest)|(best|largest|biggest|widest) (axial )?(slice|level|section|image)|"
        "(widest|largest|biggest|thickest) (slice|section|part|point|level|spot)"
    ),
    "voxels": cue("how many (voxels|pixels)|number of (voxels|pixels)|(voxel|pixel) count"),
    "slices": cue(
        "slices?|(what|which) (level|height|slice)|how (far|high) (up|down)|z (range|extent)|slice (range|numbers?)|"
        "(which|"
        "what|in which|on which) (images|frames|cuts|levels|sections)|"
        "first and last slice|where (does|do) (the )?@ (end|start|begin|stop)s?|"
        "(top|bottom|lowest|highest|upper|lower) (end|edge|border|point|slice|part)"
    ),
    "count": cue("how many @|(count|number of)( the)? @"),
    "mean_hu": cue(
        "(is|are|looks?) (the )?@ (so |very |too |rather )?(bright|dense|dark|white|radiodense)|"
        "how (white|black|gr(a|e)y|opaque|lucent)|radiodens*|radiopaque|radiolucen*|hyperattenuat*|hypoattenuat*|"
        "(mean |average )?(hu|hounsfield*( units?| values?| numbers?)?)|attenuat*|densit*|dense|how bright|"
        "brightness|radiodensit*|"
        "intensit*|gr(a|e)y values?|radiopacity|how dark|ct (number|value)s?|standard deviation|sd"
    ),
    "diameter": cue(
        "diameters?|how (wide|thick|broad|narrow|thin|fat)|width|caliber|thickness|across|big around|girth|"
        "circumference|"
        "bore|radius|(longest|long|major|short|minor) axis"
    ),
    "extent": cue(
        "how (long|tall|high|deep)|spans?|how many (cm|mm|centimeters|millimeters)|length|height|dimensions?|extent|"
        "extents|craniocaudal*|(in )?(all |the )*(three|3) (directions|dimensions|axes|planes)|from top to "
        "bottom|measurements|bounding box"
    ),
    "volume": cue(
        "volumes?|ml|cc|ccm|cm3|milliliters?|liters?|capacity|voluminous|how full|full|weigh*|heavy|space|occup*|"
        "sizes?|(how|so|very) (big|large|small|huge|little|tiny|massive|enormous|sizea?ble|roomy|spacious|"
        "capacious|bulky)|"
        "how much|measures?|bulk|roominess|spaciousness"
    ),
    "hu_range": cue(
        "(min|max|minimum|maximum|minimal|maximal|lowest|highest|peak|median) (and (the )?_ )?(hu|hounsfield*( units?| "
        "values?)?|attenuation|density|intensity|value)|range of (the )?(hu|hounsfield*|densit*|attenuation)|"
        "(hu|hounsfield|density|attenuation) range|(brightest|darkest) (voxel|pixel|spot|part|point)|histogram|"
        "percentiles?|p\\d{1,2}|"
        "distribution of( the)? (hu|values|densities|intensities)"
    ),
    "position": cue(
        "where|located?|location|positions?|positioned|(which|what) (side|half|quadrant)|midline|central|"
        "centrally|deviated|whereabouts|in the (middle|center)|"
        "(correct|wrong|usual|expected|proper|normal) (side|place|spot)|(in|at) the right (place|spot)"
    ),
}
SIZE_ONLY = cue("sizes?|how (big|large|small|huge)")
STANDALONE_VOLUME = cue("volumes?|ml|cc|cm3|milliliters?|liters?")

# ---- comparing and relating

COMPARE = cue(
    "(order|rank|sort)|by size|symmetr*|asymmetr*|same size|equal*|more (white|dense|bright|dark|radio*|"
    "opaque)|compar*|versus|bigger|larger|smaller|brighter|darker|"
    "denser|wider|narrower|heavier|longer|shorter|thicker|difference|"
    "differ*|ratio|than|biggest|largest|smallest|brightest|darkest|(is|are) (the )?(longest|shortest|widest|"
    "narrowest|densest|heaviest)(?! [a-z])|(higher|lower|more|less) (in |_ )?(hu|"
    "density|attenuation|volume)|"
    "greater|in comparison|against|minus|how many times|(twice|double|half|times) (as|the (size|volume))"
)
BRIGHT = cue("bright*|dark*|dens*|hu|hounsfield*|attenuat*|intens*|white*|black*")
WIDE = cue("wide*|narrow*|diameter*|caliber|thick*|thin|thinner|thinnest")

LONG = cue("long|longer|longest|shorter|shortest|lengths?|taller|tallest|heights?")
SUM = cue("sum|total|totals|together|combined|altogether|add(ed)?( up)?|in all")

RELATIONS: dict[str, re.Pattern[str]] = {
    "distance": cue(
        "distances?|how (far|close|distant|near)|close to|near|far from|(room|space)( _){0,2} between|how "
        "much (room|space) (is |there )*between|nearer|closer|farther|further away|gap|apart(?! from)|mm "
        "from|"
        "millimeters from|separat(ion|ed|es)|(how|what|which|do|does)( _){0,4} separate|spacing between|"
        "how many mm (is|are|from|between|lie)"
    ),
    "touching": cue("touch*|contact|abut*|adjoin*|reach*|in contact|attached|share a border|overlap*"),
    "nearest": cue("nearest|closest|next to|neighbo*|adjacent|borders?( on)?|beside|surround*|around (the )?@"),
    "side": cue(
        "(further|more|farther) (to the )?(left|right)|leftmost|rightmost|"
        r"(to the |on the )?(left|right)( hand)?( side)? (of|from)( the| its| his| her| it| that)?( @)?|"
        r"(which|what) side of|sided to"
    ),
    "above": cue(
        "above|below|under|beneath|underneath|higher|lower|superior|inferior|over|on top of|cranial|caudal|beyond"
    ),
    "front": cue(
        "in front of|behind|anterior|posterior|ventral|dorsal|at the back of|before|deeper|further (back|front)"
    ),
    "direction": cue(
        "relative to|with respect to|relation|relationship|in (what|which) direction|direction|lateral|"
        "medial|in relation to|"
        "relat*|compared to where|where( _){1,6} (compared|in comparison) (to|with)"
    ),
}
CLAIMS: dict[str, re.Pattern[str]] = {
    "above": cue("above|higher|superior|over|on top of|cranial"),
    "below": cue("below|under|beneath|underneath|lower|inferior|caudal"),
    "front": cue("in front of|anterior|ventral|before"),
    "behind": cue("behind|posterior|dorsal|at the back of"),
    "left": cue("left"),
    "right": cue("right"),
}

PRESENCE = cue(
    "reach(es)?|extends?|beyond|outside|goes on|"
    "(is|are|was) there|any|(do|can|could) (you|we|i|one) (see|find|detect|identify|make out|spot|recogni*)|"
    "visible|seen|"
    "present|presence|absent|missing|exist*|included?|contain*|field of view|fov|been removed|(take|took|"
    "taken|cut) out|resected|excised|removed|still|"
    "complete*|whole|entire*|"
    "(does|do) _( _)? (show|display|depict|reveal)|cut( off)?|truncated|imaged|in (this|the|these) (scan|"
    "image|picture|images|ct|study|volume)|make out|have|has|here|there"
)
PRESENCE_ALONE = cue(
    "reach(es)?|extends?|beyond|outside|goes on|(is|are|was) there|(do|can|could) (you|we|i|one) (see|find|detect|"
    "identify|make out|spot|recogni*)|visible|seen|present|presence|absent|missing|exist*|included?|contain*|"
    "field of view|fov|removed|(take|took|taken|cut) out|resected|excised|still|complete*|whole|entire*|"
    "(does|do) _( _)? (show|display|depict|reveal)|cut( off)?|truncated|imaged|in (this|the|these) (scan|image|picture|"
    "images|ct|study|volume)|make out|there"
)
"""Of ``PRESENCE`` what asks for nothing else: "has the liver shrunk" asks for a quality."""
REMOVED_ORGAN = {
    "cholecystectomy": "gallbladder",
    "splenectomy": "spleen",
    "gastrectomy": "stomach",
    "nephrectomy": "kidneys",
    "laryngectomy": "larynx",
    "cystectomy": "urinary_bladder",
    "pneumonectomy": "lungs",
    "hepatectomy": "liver",
}

# ---- the scan itself

SCAN: dict[str, re.Pattern[str]] = {
    "hu_range": cue(
        "(hu|hounsfield|intensity|value|gr(a|e)y) range|range of (hu|hounsfield*|intensit*|values)|"
        "(lowest|highest|min*|max*|smallest|largest) (and (the )?_ )?(hu|hounsfield*|intensit*|value*|voxel value*)"
    ),
    "spacing": cue(
        "spacing|(voxel|pixel) (size|dimension|spacing|volume)s?|(size|volume) of (a|one|each)( single)? (voxel|pixel)|"
        "resolution|(slice|section) (thickness|spacing|"
        "interval|distance)|"
        "(big|large|small) are the (voxels|pixels)|(how )?thick _ (the )?(slices|sections|cuts)|(slices|"
        "sections) (are )?thick|how thick"
    ),
    "slices": cue(
        "(how many|number of|count|total|amount of)( (axial|total))? (slices|images|sections|cuts)|slice count"
    ),
    "size": cue(
        "how (tall|wide|long|high|deep) is (the|this) (scan|image|volume|ct)|matrix( size)?|how many voxels|number "
        "of voxels|(image |scan |volume )?dimensions|shape|"
        "(size|big|large) (of |is )?(the |this )(scan|image|volume|ct|dataset|array)|in voxels"
    ),
    "orientation": cue(
        "orient*|(which|what)( image)? planes?|planes? (is|was|of)|(axial|coronal|sagittal)( plane| view| image| "
        "section| slice)?|supine|prone|lying|patient (is )?position*|ras|lps|las|which way|anatomical axes|axis "
        "order"
    ),
    "contrast": cue(
        "contrast|enhanced|unenhanced|enhancement|native|iodine|phase|arterial|venous|nephrographic|plain|"
        "cect|ncct|inject*|(gave|given|got|get|receive*|use*|with) (any |some |a )?(dye|agent)"
    ),
    "coverage": cue(
        "(scan|image|volume|ct) (starts?|begins?|ends?|stops?)( and (starts?|begins?|ends?|stops?))?|"
        "(ct|scan|image) of the (abdomen|chest|pelvis|head|neck|thorax|brain)|"
        "(which|what) (part|region|area|section)s?( of the body)?|body (part|region)|field of view|fov|cover*|coverage|"
        "(scan|image|it|volume|ct) (include*|go|goes|reach*|extend*|cover*|show*)( to| into)?( the)? "
        "(pelvis|chest|abdomen|head|neck|thorax|belly|brain|legs)|(is|are) (it|this|that)( scan| ct)? (a|an) "
        "(chest|abdom*|head|neck|"
        "thora*|pelvi*|whole body|brain)|(chest|abdom*|head|neck|thora*|pelvi*) (or|ct|scan)( _)*|what body|"
        "(include*|cover*|contain*|reach*|extend*|go|goes|going|show*)( _){0,4} (pelvis|chest|abdomen|head|"
        "neck|thorax|belly|legs)"
    ),
}

# ---- whole tasks

REPORT = cue(
    "(explain|walk me through|go through|talk me through)( to me)? (this|the|my) (scan|ct|image|study|picture)|"
    "what (does|do|would|can) (the |a |my )?(doctor|radiologist|physician|expert)s? (see|notice|observe)( _){0,3}|"
    "what is (going on|happening)( here| in here| in (this|the|my) (scan|ct|image|body|belly|chest))?|"
    "tell me what you (see|found|find)|"
    "impression|conclusions?|what (do|would|can|could|did) you (think|say|make|see|conclude)( overall)? (of|about|on|"
    "from|in) "
    "(this|the|my) (scan|ct|image|study|picture|case)|"
    "(tell|show)( me)? everything( about (this|the|my) (scan|ct|image))?|"
    "reports?|sentences?|describe( me)?( this| the| my)?( whole| entire)? (scan|ct|image|study|case|volume|findings|"
    "picture)|summar*|overview|"
    "findings section|analy(z|s)e( the| this| my)?( whole| entire)? (scan|ct|image|study|volume)|(tell|"
    "show)( me)? about (this|the|my) "
    "(scan|ct|image|study)|(scan|ct|image|it) shows? overall|what stands out|(anything|something) (notable|noteworthy|"
    "remarkable|special)|most (notable|noteworthy|important|interesting|remarkable|striking|relevant)( _){0,2}|"
    "(anything|something|any findings?|everything)( else)?( that)?( _){0,3} ("
    "interesting|remarkable|special|striking|unusual|odd|strange|weird|strikes? you)|what (do|did|can) you (notice|"
    "observe)|(what|anything|something) (can you |"
    "you can )?"
    "(tell|say)( me)?( something| anything)? (about|of|on) (this|the|my) (scan|ct|image|study)|"
    "tell me (something|anything|more|a bit) about (this|the|my) (scan|ct|image|study)|interpret*( this| the| "
    "my) (scan|ct|image)|findings"
)
LIST = cue(
    "how many (different )?(organs|structures|things|parts)( _){0,5}|"
    "names? of (all |the )*(organs|structures)|(organs|structures) (that )?(you|i can)|supported (organs|structures)|"
    "what (you|i|we|one) (can|could) (segment|find|see|ask)|what (can|could) be (segmented|found|seen|asked)|"
    "(what|which) (organs|structures|anatomy|things|parts|classes|labels|masks|anatomical structures)( [?]|$|"
    " (are|is|can|"
    "could|do|does|did|were|in|have|has|you|visible|present|included|shown|found|known|there|here))|"
    "(what|which) (organ|structure)( system)? (is|was|can|could|do|does|are|in|you)|what "
    "(can|could|do) (you|i) "
    "(see|find|segment|recognize|detect|know|ask|identify|show)|"
    "what is (visible|(in|on) (this|the|my) (scan|image|picture|ct))|"
    "what (am i|i am|are we|we are) (looking at|seeing)|what (do|can) we (have|see)( here)?|what (does|do) (this|"
    "the) (scan|ct|image|picture)s? (show|contain)|"
    "name (one|some|the|all|a few)?( _)? ?(organs?|structures?)|list( (me|all|the|every|of))*( (organs|"
    "structures|masks|anatomy))|what else can you (find|see|segment)|what have you found"
)

# ---- published rules

FINDING_STRUCTURES: dict[str, tuple[str, ...]] = {
    "steatosis": ("liver",),
    "liver_spleen_difference": ("liver", "spleen"),
    "emphysema": ("right_lung", "left_lung"),
    "aortic_aneurysm": ("aorta",),
    "bone_density": ("vertebral_column",),
    "gallstones": ("gallbladder",),
    "renal_stones": ("right_kidney", "left_kidney"),
    "pleural_effusion": ("right_lung", "left_lung"),
    "aortic_calcification": ("aorta",),
    "splenomegaly": ("spleen",),
    "hepatomegaly": ("liver",),
    "cardiomegaly": ("heart",),
    "kidney_asymmetry": ("right_kidney", "left_kidney"),
}
"""Structures that each finding is measured on."""

# words that name a finding by themselves
FINDING_NAMES: dict[str, re.Pattern[str]] = {
    "steatosis": cue("steato*|fatty( liver)?|nafld|masld|nash|liver fat|fat (content|infiltration|deposit*|fraction)"),
    "emphysema": cue("emphysem*|copd|laa|laa -?950|low attenuation (area|volume)s?|-?950( hu)?"),
    "aortic_aneurysm": cue("aneurysm*|aaa|taa"),
    "bone_density": cue(
        "osteopor*|osteopen*|bone (mineral )?(density|mass|strength|health|quality)|bmd|t score|trabecular|"
        "brittle bones?"
    ),
    "gallstones": cue("gallstones?|gall stones?|gallbladder stones?|cholelith*|biliary stones?|bile stones?"),
    "renal_stones": cue("nephrolith*|urolith*|kidney stones?|renal (stones?|calcul*)|kidneystones?"),
    "pleural_effusion": cue(
        "(?<!pericardial )(?<!joint )effusions?|pleural fluid|hydrothorax|(fluid|water|liquid) (around|in|on|at)( "
        "_){0,2} (lungs?|chest|"
        "pleura*|thorax)"
    ),
    "splenomegaly": cue("splenomegaly"),
    "hepatomegaly": cue("hepatomegaly"),
    "cardiomegaly": cue("cardiomegaly|cardio ?thoracic( ratio| index)?|ctr"),
}
STONES = cue("stones?|calcul(i|us)|concrement*|concretion*")
CALCIUM = cue("agatston|calcif*|calcium|plaques?|athero*|sclerosis|hardening|chalk")
FAT = cue("fat|fatty|lipid*")
DILATED = cue(
    "(bigger|larger|wider|thicker) than (normal|usual|average|expected|typical|(it|they) (should|ought)( _){0,2})|"
    "(diameter|caliber|width) (is )?(ab)?normal|"
    "(ab)?normal size|size (is )?(ab)?normal|normal (size )?limits|normal in size|dilat*|ectas*|ectatic|widened|"
    "enlarged|too (wide|big|large)|bulg*|swollen|ballooned"
)
THAN_NORMAL = cue(
    "(bigger|larger|wider|longer|thicker|smaller|narrower) than (normal|usual|average|expected|typical|most|(it|they|"
    "he|she) "
    "(should|ought|normally|usually)( _){0,2}|in other people)"
)
ENLARGED = cue(
    "(bigger|larger|wider|thicker) than (normal|usual|average|expected|typical|(it|they) (should|ought)( _){0,2})|"
    "(ab)?normal size|size (is )?(ab)?normal|normal (size )?limits|normal in size|enlarged|enlargement|"
    "swollen|oversized?|too (big|large)|(abnormally|unusually|very|rather) (big|large)|look(s)? (too )?(big|"
    "large|enlarged)|"
    "bigger than normal|larger than normal|big|large|megaly"
)
ASYMMETRY = cue(
    "symmetr*|asymmetr*|same size|equal( in)?( size)?|equally (big|large)|differ (in|by) (size|volume)|"
    "unequal|size difference"
)

# ---- what is not answered

INJECTION = cue(
    "(ignore|disregard|forget|override|bypass)( (all|your|the|any|every|my|these|previous|prior|above|earlier|of))* "
    "(instructions?|rules?|prompts?|guidelines|restrictions|directives)|system prompts?|your (system "
    ")?(prompt|instructions)|"
    "you are now|jailbreak|developer mode|act as (a|an|if)|reveal your|no restrictions|roleplay|do anything now"
)
EMERGENCY = cue(
    "(chest|severe|terrible|strong|bad|acute) (\\w+ )?pain|trouble breathing|(can not|can hardly|cannot) "
    "breathe|emergency|ambulance|heart attack|"
    "(i|he|she|we|they|my _) (am|is|are)( _)? bleeding|bleeding (a lot|heavily|badly|out)|suicid*|unconscious|short "
    "of breath|in pain|i feel (sick|ill|dizzy|faint)|it hurts|my( _){1,4} (hurts?|aches?|is aching|is hurting)"
)
MEDICATION = cue(
    "dose of|dosage|mg|milligrams?|drugs?|medications?|medicines?|prescri*|pills?|tablets?|ibuprofen|"
    "paracetamol|acetaminophen|"
    "aspirin|metformin|morphine|antibiotics?|insulin dose|painkillers?|opioids?|statins?|warfarin|steroids?|"
    "cortisone|vaccine"
)
TREATMENT = cue(
    "(can|could|should|must|will|would) (?!(the |that |this |my )?(masks?|outlines?))(it|they|that|this|((my|the|his|"
    "her) )?\\w+( \\w+)?) (be|"
    "have to be|"
    "need to be|get) (surgically )?(removed|taken out|resected|cut out)|"
    "treat*|surgery|surgical|operat*|chemo*|radiotherapy|immunotherapy|therap*|transplant*|biopsy|biops*|"
    "should (i|we|he|she|they) (be(?! worried)|take|stop|start|eat|drink|avoid|do|have|get|see|go)|"
    "what (should|can|shall) (i|we) do|what to do about|(i|we|he|she|they) should do|(recommend|advise)( "
    "me)?|radiation dose should|(cure|heal) (it|this|me|him|her)"
)
PROGNOSIS = cue(
    "how many (days|weeks|months|years)( _){0,2} (have|left|live)|will (i|he|she|they) be|"
    "how (long|much time) (have|do|has|does) (i|he|she|we|they)( _)? (got|have|left|live)( left)?|prognos*|"
    "surviv*|life expectancy|(long|time) (do|does|will|have|has) (i|he|she|we|they)( have| got)? "
    "(to live|left|live)|to live|"
    "(my|his|her|the) chances|(months|weeks) or (months|years)|"
    "(am i|is he|is she|are they|will i|will he|will she) (going to )?(die|dying|"
    "live|recover)|curable|get better|terminal"
)
ACQUISITION = cue(
    "(which|what)( kind of| type of)? (scanner|machine|manufacturer|vendor|device|hospital|protocol|kernel|kvp|tube "
    "(voltage|current))|kvp?|mas|ctdi*|dlp|tube (voltage|current)|(scan|study|acquisition|exam|examination) "
    "(date|time)|"
    "(when|what (date|day|year|time)) (was|is|were|did)( _){0,3} (scan|scanned|taken|acquired|made|done|"
    "performed|image|"
    "study|this|it|from)|(date|time) of (the |this )?(scan|study|exam|examination|acquisition|image)|how old is "
    "(this|the) "
    "(scan|image|ct|study)|who (took|made|acquired|ordered|performed) (this|the) (scan|image|ct|study)|"
    "reconstruction kernel|scan protocol"
)
PATIENT = cue(
    "(is|was) (it|this|he|she|the patient|that|this patient|the person) (a |an |from a |of a )*(male|female|man|"
    "woman|boy|"
    "girl|child|kid|adult|guy|lady|old|young)( _){0,2}|(does|did|is|was|has) (he|she|the patient|they|this person) "
    "(ever )?"
    "(a )?(heavy )?(smok\\w*|drink\\w*|drank|alcohol\\w*|diabetic|vegan)|(male|female) (chest|abdomen|body|patient|"
    "scan)|"
    "(his|her|their|patients?|patient ?'?s) (first |last |full |real )?(age|name|sex|gender|birthday|date of birth|id|"
    "identity|address|weight|height|bmi)|patient name|name of (the|this) patient|(who|how old|how tall|how heavy) is "
    "(he|she|((the|this|that) )?"
    "(patient|person|man|woman))|who is (this|that)|patient (age|id|sex|gender|address|birth*)|"
    "(age|sex|gender|birthday|date of birth|address|weight|height) of (the|this) (patient|person)|patient "
    "(weight|height)|bmi|(female|male|woman|man) "
    "or (a )?(woman|female)|which hospital|whose scan"
)
DISEASE = cue(
    "tell (my|his|her|the|our) (family|wife|husband|mother|father|mom|mum|dad|parents|kids|children|son|daughter|"
    "doctor|gp|"
    "patient|partner)|"
    "lacerat*|ruptur*|scolio*|sarcopen*|slipped|prolaps*|contusion*|injur*|trauma*|stenos(is|es|ed)|occlu*|atroph*|"
    "hypertroph*|varices|jaundice|pericard\\w* (fluid|effusions?)|lymphadenopath*|polyps?|ulcers?|free (air|gas)|"
    "kyphosis|"
    "illness*|(any |some |a |see )(problems?|issues?|troubles?)|(problems?|issues?|troubles?|wrong) (with|in|of|at) "
    "(the |my |his |her )?@|"
    "pain|painful|ache|symptoms?|bad|harmless|alarming|concerning|"
    "cancer*|carcinom*|malignan*|benign|tumou?rs?|metasta*|mets|neoplas*|pneumonia|cirrho*|hepatitis|"
    "leuk(a)?emia|lymphoma|"
    "stroke|dissect*|embol*|infect*|appendicitis|pancreatitis|diverticulitis|cholecystitis|colitis|fractur*|"
    "broken|covid*|"
    "tubercul*|pregnan*|disease*|disorder*|diagnos*|sick|ill|wrong with|worr(y|ied)|serious|abnormal*|"
    "healthy|normal|everything (ok|okay|fine|good|normal|all right|alright)|lesions?|nodules?|"
    "mass|masses|cysts?|abscess*|thromb*|clots?|hemorrhag*|haemorrhag*|bleed*|hernia*|obstruct*|ischem*|"
    "infarct*|sarcoma|"
    "melanoma|stage|staging|spreading|(has|have|had|did) (_ ){0,2}spread|spread (to|into|beyond)|free fluid|"
    "(fluid|water) in the (abdomen|belly|pelvis)|diabetes|asthma|fibrosis|inflam*|suspicious|perforat*|hypodens*|"
    "hyperdens*|lucen*|opacit*|specks?|spots?|thickening|stranding|patholog*|adenopath*|o?edema|fluid around|"
    "\\w{3,}itis|\\w{3,}oma|failure|insufficien*|hydroneph*|ileus|ascites|atelectas*|pneumothorax|suffer*|"
    "syndrome"
)
LESIONS = cue(
    "pneumothorax|cancer*|tumou?rs?|metasta*|mets|pneumonia|fractur*|broken|embol*|nodules?|mass|masses|lesions?|"
    "cysts?|"
    "clots?|thromb*|infect*|dissect*|ascites|hernia*|bleed*|h(a)?emorrhag*|consolidat*|atelectas*|inflam*|obstruct*|"
    "hydroneph*|cirrho*|fibrosis|free (fluid|air|gas)|ruptur*|\\w{4,}itis|pneumoperitoneum"
)
"""Of ``DISEASE`` what is looked for as a thing of its own."""
HEALTH = cue("@ (is |are |looks? |seems? )?(still |all )?(ok|okay|fine|good|all right|alright)")
MODALITY = cue(
    "modality|(kind|type|sort) of (image|scan|imaging|picture)|(is|was) this (a|an) (ct|mri|mr|x ray|pet|"
    "ultrasound)( _)?|(how|with what) (was|is) (this|the) (image|scan) (taken|made|acquired)"
)
UNMEASURED = cue(
    "normali(z|s)e|squared|"
    "surface area|perimeter|textur*|stiffness|elasticity|pressure|perfusion|weight of the patient|"
    "bifurcat*|branch(es|ing)?|divides?|forks?|splits?( up)?( into)?"
)
AGAIN = cue("again|repeat( that)?|once more|redo( that)?|same again")
CREATIVE = cue(
    "(write|compose|sing|tell|make up|invent|give|create|need|want|do)( me| us)?( _){0,3} (poem|joke|song|story|haiku|"
    "limerick|rap|essay|lyrics|tale|riddle|verse|rhyme)s?"
)
OFF_TOPIC = cue(
    "haiku|limerick|rap|letter|sing|compose|riddle|trivia|"
    "weather|jokes?|poems?|python|code|javascript|program|recipe|football|soccer|world cup|capital of|"
    "president|stock*|movies?|song|"
    "music|translat*|solve|equation|math|news|politic*|election|restaurant|book me|appointment|flight|hotel|"
    "convert|email|essay|"
    "story|game|bitcoin|girlfriend|boyfriend|horoscope|lottery|travel|cook|lyrics|homework|google|facebook|sql|html"
)

# a question about the picture that no rule answers is no other subject
DOMAIN = cue(
    "scan*|ct|image|images|picture|patient|mask|masks|slices?|organs?|body|scanner|volume|contrast|voxels?|"
    "series|study|metal|fluid|gas|air|pelvis|abdomen|chest|neck|"
    "white|dark|bright|thing|artifacts?|artefacts?|noise|motion|quality|kernel|@|#"
)

THE_SCAN = cue("(the|that) (scan|image|picture|ct)")
IN_SCAN = cue("in (this|the) (scan|image|picture|ct|volume|study)")

FUNCTION_WORDS = word_set(
    """
    a an the is are was were be am do does did can could will would should may might must have has had i you he
    she it we they me my your his her its our their this that these those of in on at to from for with by about
    as and or but not no what which who whose whom when where why how many much there here some any please tell
    give show make let us than then so if get up down out into over again also too just only want need like
    """
)

# ---- changes of a mask, by the word that asks for them

EDIT_VERBS: dict[str, str] = {
    "grow": "grow", "expand": "grow", "dilate": "grow", "enlarge": "grow", "inflate": "grow", "thicken": "grow",
    "shrink": "shrink", "erode": "shrink", "hollow": "hollow", "split": "split", "threshold": "threshold",
    "intersect": "intersect", "intersection": "intersect", "interpolate": "interpolate",
}  # fmt: skip
"""An order that begins with the word."""

EDIT_SIZES: dict[str, str] = {
    "bigger": "grow", "larger": "grow", "thicker": "grow", "wider": "grow", "fatter": "grow",
    "smaller": "shrink", "thinner": "shrink", "tighter": "shrink", "narrower": "shrink",
}  # fmt: skip
"""What a mask is to be made."""

EDIT_THINGS: tuple[tuple[frozenset[str], frozenset[str], str], ...] = (
    (word_set("add put make create"), word_set("margin"), "grow"),
    (word_set("make create draw keep turn"), word_set("shell"), "hollow"),
    (word_set("keep only just leave make create"), word_set("share shared common overlap intersection"), "intersect"),
    (word_set("separate break divide"), word_set("pieces components parts islands"), "split"),
    (word_set("fill interpolate"), word_set("between slices"), "interpolate"),
)
"""Verbs that an order begins with, what stands behind them, and the change that both ask for together."""

SIZED_BY = word_set("by . ! , please a bit little slightly")
"""What may follow a size that a mask is to be made; "make the smaller kidney red" asks for none."""

HU_KEPT = word_set("keep only just leave restrict limit clip threshold")
HU_TAKEN = word_set("remove delete discard drop erase exclude cut")
HU_ABOVE = word_set("above over more greater higher brighter denser least up")
HU_BELOW = word_set("below under less lower darker most")
WORDS.update(word for table in (EDIT_VERBS, EDIT_SIZES) for word in table)
WORDS.update(word for verbs, things, _ in EDIT_THINGS for word in verbs | things)
WORDS.update(HU_KEPT | HU_TAKEN | HU_ABOVE | HU_BELOW)
