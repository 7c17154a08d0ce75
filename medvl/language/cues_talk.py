"""Words of general questions and small talk, in the manner of ``cues``."""

from __future__ import annotations

import re

from ..vocabulary.structure import word_set
from .cues import cue

# ---- general knowledge

DEFINE = cue(
    "what (is|are) (a|an)|what (does|do)( _){1,4} (mean|stand for)|defin*|explain|meaning of|meant by|stand* for|"
    "(tell|teach) me what|can you explain|what exactly (is|are)|difference between"
)
WHAT_IS = cue("what (is|are)|what")
FUNCTION = cue(
    "what (the |a |an |my )?@ (does|do|is for|are for)|"
    "what happens (in|inside) (the |a |an |my )?@|(point|use) of (the |a |an |my )?@|"
    "what (does|do) (the |a |an |my |our )?@( even| actually)? do|functions?|role|job|purpose|(is|are|was) @ "
    "(good )?for|"
    "(why do (we|people|humans) (have|need))|how (does|do) (the |a |an |my )?@ work|responsible for|what @ "
    "for|tasks? of|what for|do(es)? @ do"
)
WHAT_IS_A = cue(r"(and |so |ok |okay )?what (is|are) (a|an|the) \w+( \w+)?( again| exactly)?( [?])?")
UNKNOWN_FUNCTION = cue(
    "what (does|do) (the |a |an |my )?# do|(what is|what are) (the |a |an )?# for|(function|role|purpose) of "
    "(the |a )?#"
)
HOW_YOU_KNOW = cue(
    "explain( me| to me| us)?( _){0,2} (what|how) (have )?you (did|done|do)|"
    "how (do|did|does|can|could) (you|it|this) (know|find|tell|see|recognize|calculate|compute|measure|determine|"
    "derive)|how (you|it|this) (segment*|find|found|measure*|calculate*|compute*|know|knew|made|make|did|do)( (this|"
    "that|it|"
    "them|these|all))*|(do|does|are|is) (you|this|it)( an?)? (use|using|based on|powered by|run on|running)?( _){0,2} "
    "(ai|neural|networks?|chatgpt|gpt|llm|machine learning|deep learning|language models?)"
)
DESCRIBE_ONE = cue(
    "what (can|could|do|would|did) (you|i|we|one) (tell|say|know|see|find|notice)( me| us)?( anything| something)? "
    "(about|on|of|"
    "at|in) (the |this |my |his |her |both )?@|"
    "what (is|do you see|can you see|do you find) (going on |happening |up |there |new )?(with|in|at|on|about) (the |"
    "this |"
    "my |his |her |both )?@|how (is|are|does|do) (the |my |his |her )?@( looks?| looking| doing)?( [?])?$|"
    "describe (the |this |my )?@|(tell me|say|know|have|give me)?( something| anything| more| a bit| details?| facts| "
    "information| info| a summary| the summary| summary)* (about|on|of) (the |this |my |both )?@|"
    "(analy(z|s)e|summari(z|s)e) (the |this |my |both )?@"
)
NORMAL_SIZE = cue(
    "(a|an) (normal|healthy)|should( _){1,7} be|normal (size|volume|range|value|hu|density|diameter)s?|"
    "reference (range|value)s?|normally|"
    "typical (size|volume|hu|value)|(is|would be|be|counts as|considered) normal|"
    "(should|supposed to) (a |an |the |my )?@ (to )?be"
)
TOPICS: dict[str, re.Pattern[str]] = {
    "left_right": cue(
        "(left|right) (is |on |shown |appears )*(on |at )?(the )?(left|right)|(left|right) and (left|right) "
        "(swapped|flipped|mirrored|reversed)|mirrored|radiological convention"),
    "radiation": cue(
        "radiation|hurts?|painful|risky|risks?|safe|safety|dangerous|harmful|x rays?|msv|millisieverts?|dose"
    ),
    "ct_mri": cue("mri|mr|ultrasound|sonography|pet"),
    "contrast_phase": cue("(arterial|venous|portal venous|delayed|nephrographic|excretory|contrast) phases?|"
                          "phases?|portal venous|"
        "(arterial|venous|nephrographic)( mean| scan)"),
    "contrast": cue("contrast|contrast (agent|medium|media|dye)|non contrast|enhanc*|iodine|dye|native"),
    "window": cue("window*|level setting"),
    "planes": cue("axial|coronal|sagittal|planes?|transverse|multiplanar"),
    "hounsfield_unit": cue(
        "hu|hounsfield*|attenuation|radiodensity|(bones?|@|air|water|fat|metal) (is |look* |appear* )*(white|"
        "black|bright|dark|gr(a|e)y)|"
        "(white|black) on (a )?ct"),
    "voxel": cue("voxels?|pixels?|slice thickness|spacing|resolution|partial volume"),
    "artifact": cue("artifacts?|artefacts?|streaks?|noise|beam hardening"),
    "measurement": cue(
        "how (do|did|does|can) (you|it|this|the _)( _)? (calculate|compute|measure|determine|get|derive|obtain)|"
        "how (is|are|was|were)( _){1,4} (computed|calculated|measured|determined|obtained|derived)"),
    "steatosis": cue("steato*|fatty liver|nafld|masld"),
    "emphysema": cue("emphysem*|copd"),
    "aortic_aneurysm": cue("aneurysm*|aaa"),
    "bone_density": cue("osteopor*|osteopen*|bone (mineral )?density"),
    "gallstones": cue("gallstones?|gall stones?|cholelith*"),
    "renal_stones": cue("kidney stones?|nephrolith*|renal (stones?|calcul*)|urolith*"),
    "pleural_effusion": cue("effusions?|hydrothorax|pleural fluid"),
    "aortic_calcification": cue("calcif*|athero*|plaques?"),
    "splenomegaly": cue("splenomegaly"),
    "hepatomegaly": cue("hepatomegaly"),
    "cardiomegaly": cue("cardiomegaly"),
    "segmentation": cue("segmentations?|masks?|dice|contours?|segmenting"),
    "system": cue("models?|algorithms?|networks?|neural|ai|trained|training|language model|sam|software|weights"),
    "nifti_dicom": cue("nifti|dicom|nrrd|file formats?"),
    "ct": cue("ct|cts|cat scans?|computed tomography|ct scanners?|scanners?|tomograph*"),
}  # fmt: skip
"""General topics, the more special first."""

# ---- small talk; a message of nothing but such words and fillers

CHAT: dict[str, re.Pattern[str]] = {
    "privacy": cue(
        "(sent|uploaded|stored|saved|shared) (to|on|with|in)( _)* (server|cloud|internet|anyone|anybody|company|"
        "disk)|privacy|private|confidential|gdpr|hipaa|data (safe|protection)|keep my (data|scan|images)"),
    "identity": cue(
        "who are you|what are you|(what is )?your name|"
        "(are you|you are)( not)? (a |an )?((real|actual|true|proper|qualified|trained|licensed|human|medical) )*"
        "(doctor|physician|expert|"
        "human|robot|ai|bot|radiologist|"
        "person|chatgpt|machine|real)|"
        "who (made|built|created|trained|wrote|developed|programmed|designed) (you|this|it)( _)?"),
    "accuracy": cue(
        "are you (sure|certain|right|correct)|how (accurate|reliable|good|precise|sure|certain|exact|"
        "trustworthy|correct) "
        "(are|is|were)( _)*|(are|is) (these|this|those|that|they|it|the|your)( _)* (reliable|accurate|"
        "trustworthy|precise|"
        "exact|correct|right|true|believable)( enough)?|((what|how (big|large|high)) (is|are) (the|your) "
        ")?(measurement )?(errors?|confidence|uncertainty|accuracy)( (margin|rate|interval|"
        "range)s?)?|margin of error|wrong|i doubt( _)*|not (right|correct|true)|(you are|that is|this is|it is) "
        "(wrong|incorrect|not right|not correct|false|a mistake)|can i "
        "(trust|rely)( _)*|you made a mistake|trust you|"
        "(is it |would it be )?(safe|ok|okay|wise|sensible|fine) to (rely|trust|depend|count)( _)*|"
        "really|(can|could|do|are) you( ever)? (be |make )?(wrong|"
        "mistakes?|errors?|confident)|i do not (believe|trust) you|i (do not agree|disagree)( _)*|(that|this|it) "
        "(can|could|does|do) not (be|look|seem|sound) (right|correct|true|possible|plausible)|no way|nonsense|"
        "impossible"),
    "limits": cue(
        "what (can|could|do|will|would) ((you|it|this) not|not (you|it|this))( _){0,4}|what (are )?your (limits|"
        "limitations|weaknesses)|(what (is|are) )?(you|it|this) (not able to|unable to|not good at|bad at|"
        "not capable of)( _){0,3}|limitations?|"
        "(which|what) (organs?|structures?|masks?|parts|things)( _){0,4} (worst|least|badly|poorly|best|wrong)"
        "( _){0,2}|"
        "where (do|are) you( _){0,2} (wrong|fail|worst|struggle)( _){0,2}"),
    "responsible": cue(
        "(who|whose)( _){0,2} (responsible|responsibility|liable|liability|to blame|fault)( _){0,9}"),
    "other_units": cue(
        "(and |what is (that|it|this) |how much is (that|it|this) )?in (pints?|gallons?|ounces?|oz|fl|inch(es)?|feet|"
        "foot|cups?|quarts?|teaspoons?|tablespoons?|kg|kilograms?|kilos?|grams?|lbs?|pounds?|stones?)"),
    "capabilities": cue(
        "what (can|could) (you|i|this|it) (do|ask)( here| for me)?|(can you |could you )?help( me)?|how (do|"
        "can|does|should) (i|we|this|it) "
        "(use|work|start)( _)*|"
        "what (is|are) (this|you) (for|app)|your (capabilities|abilities|functions)|"
        "instructions|what now|menu|commands?|options?|tutorial|manual|usage|how to use( (this|it|you))?|what else "
        "can you do|how (long|much time|fast)( _){0,5} takes?( _)*|how (do|can) you help( _)*"),
    "start": cue(
        "(what|where|which one)( _){0,2} (should|do|shall|can|could|must|would) (i|we|you|one) (look( at)?|"
        "start( with)?|begin( with)?|check|examine|focus on|pay attention to)( _){0,3}|"
        "where (to|do i|should i|do we) (start|begin|look)( first)?|what (should i do )?(first|next)|how (do|should) "
        "(i|we) (start|begin)|what is (the )?(first|next) (thing|step)( _){0,5}"),
    "not_seen": cue(
        "(i |we )?(do|can|could) not (see|find|spot)( _){0,2} (masks?|outlines?|overlays?|contours?|"
        "segmentations?|colou?rs?)"
        "( _){0,3}|where (is|are|did)( _){0,2} (masks?|outlines?|overlays?|segmentations?)( go)?|(the "
        ")?(masks?|outlines?|"
        "overlays?|segmentations?) (is|are) (not (there|visible|shown|displayed)|invisible|missing|gone)|nothing (is )?"
        "(shown|visible|displayed|happens|happened)|i see nothing"),
    "export": cue(
        "(how|where)( (do|can|could|should|would|to|is|are))?( (i|we|one|you))? (export|save|download|get|"
        "find)( _){0,3} "
        "(masks?|segmentations?|files?|niftis?|csv|measurements?|results?|reports?|downloads?|export)( _){0,4}",
        "(how (do|can) i |can (you|i|we) |(could|would) you |i want to )?(please )?(export|save|download)( _)*"),
    "sources": cue(
        "(what|which|where)( _){0,3} (sources?|references?|publications?|papers?|thresholds?)( _){0,6}|(show|"
        "list|give|cite)( me)?"
        "( the| your)* (sources?|references?|publications?)"),
    "units": cue("(what|which) units?( _){0,4}|in (what|which) units?( _){0,4}"),
    "spread": cue("(what (does|is|are)( a| the)? )?(sd|standard deviations?|median)( mean| stand for)?"),
    "page": cue(
        "(can|could|how (do|can|to)|may)( i| we| you| one)? (correct|fix|edit|refine|change|improve|adjust|"
        "repair|redo)( _){0,3} "
        "(masks?|segmentations?|outlines?|contours?|it|them)( _){0,3}|(show|see|view|display)( me)?( the)? "
        "image( number)? _|(go|jump|take me|scroll|move) to( the)? "
        "(middle|first|last|top|bottom|next|previous)( _){0,2}|(make|set)( _){0,2} (transparent|opaque|"
        "darker|brighter|"
        "bigger|smaller)|(change |set |more |less )?(opacity|transparen*|brightness|zoom)( _){0,3}|rename( _)*|"
        "(next|previous) "
        "slice",
        "(can (you|i|we) |could you |how (do|can) i |please |i want to )?(show|see|open|load|upload|draw|use|"
        "view|rotate)( me| "
        "another| a| an| new| the| different| in| next| up)* (3 d|scan|ct|file|box|clicks?|points?|viewer|"
        "window|dicom|volume|"
        "image)( model| view| rendering| surface| file| volume)?( _){0,3}"),
    "goodbye": cue("bye|goodbye|good night|see you( later| soon)?|farewell|ciao|tschuess"),
    "thanks": cue(
        "gracias|grazie|(you are|that is|this is|it is) (so |very |really )?(great|good|awesome|amazing|helpful|"
        "perfect|nice|"
        "cool|impressive|useful|wonderful|brilliant)|haha|wow|thanks?|(much )?appreciated?|thank you|cheers|"
        "thankyou|(nice|good|great|well|excellent|amazing) "
        "(work|job|done|one)|perfect|"
        "nothing( else| more)?|awesome|great|brilliant|wonderful|merci|danke|well done|impressive|cool|nice"),
    "greeting": cue(
        "bonjour|hola|salut|guten tag|ciao|yo|sup|hi|hello|hey|hiya|howdy|good (morning|afternoon|evening|day)|"
        "greetings|how are you( doing)?|hallo|"
        "servus|moin|how is it going|what is up"),
    "acknowledge": cue(
        "ok|okay|sorry|stop|yes|no|yep|nope|sure|alright|all right|fine|got it|i see|understood|hm|hmm|aha|never mind|"
        "right|oh"),
}  # fmt: skip
INSULT = cue(
    "stupid|idiot(ic)?|moron(ic)?|dumb(ass)?|useless|worthless|crap(py)?|rubbish|garbage|sucks?|shit(ty)?|fuck*|damn|"
    "wtf|bullshit|i hate (you|this|it)|shut up|pathetic|(you are|this is|that is|it is) (so |really |just |very )?"
    "(terrible|horrible|awful|bad|annoying|nonsense|a joke|unhelpful|boring)|not helpful|that did not help|silly bot"
)
FILLERS = word_set(
    """
    is a lot so very much there again you for the that this it to me my friend and please , . ! ? : today all help
    everyone just now dear bot about
    """
)

WHAT_IT_MEANS = cue(
    "what (does|do) (that|this|it|these|those) mean|explain (that|this|it)|meaning of (that|this|it)|why is "
    "that|so what|what (does|do|can|should|would|might|could) (that|this|it|these|those|i|we) (tell|say|show|imply|"
    "indicate|suggest|"
    "point to|hint at|conclude|learn|make)"
    "( us| me| you)?( (of|from) (it|that|this))?"
)

# asked of a structure: "is the liver mask right", "that is wrong, the spleen is bigger"
DOUBT = cue(
    "how (accurate|reliable|precise|sure|certain|trustworthy|correct) (are|is)|(that|this|it) is (wrong|"
    "incorrect|not right|"
    "not correct|a mistake)|(is|are) (the |this |your )?@( _){0,2} (correct|accurate|reliable|wrong|"
    "trustworthy)( ?[?])?$|"
    "how (accurate|reliable|precise|sure|certain|trustworthy|correct) (@|it|they|this|that|you) (is|are)|"
    "@ (_ )?(is|are|looks?|seems?) (_ )?(wrong|off|incorrect|inaccurate|bad|not right|not correct)( ?[?.!])?$|"
    "(that|this|it) is not (the |a |an |my |his |her )?@( [?.!])?$|(masks?|outlines?|contours?|segmentations?|"
    "measurements?|numbers?|values?|results?|answers?|borders?)( _){0,2} (is|are|looks?|seems?) (totally |completely "
    "|all |"
    "a bit |clearly |just |so )?(wrong|off|incorrect|inaccurate|bad|not right|not correct|rubbish|too (big|small|"
    "large))|"
    "do you trust|(can|could|should|do) (i|you|we|one) (really )?trust|(safe|ok|okay|wise|sensible|fine) to "
    "(rely|trust|depend|"
    "count)|you (missed|got)( _)* wrong"
)
DOUBT_OF_LOOKS = cue(
    "(it|this|that|they|these|@) (looks?|seems?|appears?) (a bit |too |very |quite |rather |somewhat |much )*(big|"
    "large|small|wrong|off|bad|strange|weird|odd|incorrect|inaccurate|not right|incomplete)( to me)?( [?.!])*$"
)

REPORTED = cue("(said|says|say|told|tells|thinks?|thought|heard|wrote|writes|mentioned|claims?|supposedly|apparently)")
WHY_NOT_THERE = cue(
    "why( _){0,4} not( _)? (find|see|show|segment|locate|visible|there|found|shown|segmented|present|in)|"
    "why( _){0,4} (missing|absent|gone)"
)
KINDS: dict[str, re.Pattern[str]] = {
    "vessel": cue("(blood )?vessels?|arter(y|ies)|veins?"),
    "bone": cue("bones?|skeleton"),
    "airway": cue("airways?"),
    "muscle": cue("muscles?"),
}
ABLE = cue(
    "(can|could|do|does|are) (you|it|this|we|i)( able to)?( _)? (segment|find|know|see|recogni(z|s)e|detect|measure|"
    "identify|outline|name|show|support|mark)|(are|is) (known|supported|available|possible)|(can|could) be "
    "(segmented|found|measured|outlined|recogni(z|s)ed)"
)
HOW_TO_MEND = cue(
    "(how (do|can|could|to|should)|can|could)( i| we| you| one)? (correct|fix|edit|refine|improve|adjust|repair)",
    "how (do|can|could|to|should)( i| we| you| one)? (mark|add|draw|contour|segment|outline) "
    "(it|them|this|that|one|these|those|(the|a|my|your) (masks?|outlines?|segmentations?|contours?))",
)
TO_FILE = cue(
    "export*|save|download*|(as|to|into|in) (an? )?(pdf|html|docx?|word|json|markdown|csv|excel|xlsx|stl|nifti|"
    "dicom( seg)?)|"
    "(e ?mail|send|copy|share)( me)?( (the|this|my|it|a))+ ?(report|masks?|results?|measurements?|segmentations?|"
    "numbers?)?"
)
IN_REGION = cue(
    "(what|which) (other )?(organs|structures|parts)( of| in| inside| within)( the| this)? "
    "(abdomen|belly|chest|thorax|pelvis|neck|head)",
    "(what|which organs|which structures|what organs|what structures)( else)? (is|are|lies|lie|do you see|can "
    "you see|do you "
    "find|can be seen|there is)( there| visible| shown| located)? (in|inside|within) (the |this |his |her |my "
    ")?(abdomen|belly|"
    "chest|thorax|pelvis|neck|head)",
)
