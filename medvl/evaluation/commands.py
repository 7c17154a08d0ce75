"""What each command of ``python -m medvl.evaluation`` does: run a protocol, print its tables, write its JSON."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence

from ..ct.masks import Mask
from ..ct.volume import CTVolume
from ..errors import MedVLError
from ..language.parse import parse
from ..model import MedVLSAM2, load
from . import cvpr25, one_click, pointing, reading, report_scores, text
from . import looks as look_scores
from .answers import AnswerScore, score_answers
from .bert_score import BertScore
from .cases import LabelledCase, abdomen_as_structures, abdomen_sample, labelled_cases
from .interactive import PLAIN, Method, Ours, Result, run_case, structures_of
from .interactive_lesions import LESIONS, lesion_cases
from .one_click import ClickResult
from .peers import LiteMedSAM, NaiveSam2
from .question_set import load_questions, score
from .segmentation_metrics import EMPTY_RULE, tolerances
from .speed import measure
from .tables import about, cell, mean, save_json, table
from .text import TextResult


def _cases(options: argparse.Namespace, bundled: LabelledCase | None = None) -> Iterator[LabelledCase]:
    """The cases that were asked for; without a ``cases.json`` the bundled abdomen.

    Raises:
        MedVLError: a case was named that is not there.
    """
    if options.cases is None:
        if _lesions(options):
            raise MedVLError("The bundled case has no lesions; give --cases.")
        case = bundled or abdomen_as_structures()
        if options.case and case.id not in options.case:
            raise MedVLError(f"Without --cases there is only the bundled case '{case.id}'.")
        yield case
        return
    if not options.cases.is_file():
        raise MedVLError("There is no such cases.json.")
    wanted = set(options.case or ())
    read = lesion_cases if _lesions(options) else labelled_cases
    for case in read(options.cases, options.split, options.case):
        wanted.discard(case.id)
        yield case
    if wanted:
        raise MedVLError(f"No labelled case {', '.join(sorted(wanted))} (in this split) in cases.json.")


def _lesions(options: argparse.Namespace) -> bool:
    """Whether the command was asked for the lesions of the cases instead of their structures."""
    return getattr(options, "structure", None) == ["lesions"]


def _model(options: argparse.Namespace) -> MedVLSAM2:
    return load(options.model, options.device, options.quantization, options.sam2, options.checkpoints)


def _bert(options: argparse.Namespace, device: object) -> BertScore | None:
    if options.bert_model is None:
        return BertScore.find(device)
    return BertScore(options.bert_model, options.bert_layer, device)


def _show(lines: Sequence[str]) -> None:
    print("\n".join(lines), flush=True)


def interactive(options: argparse.Namespace) -> int:
    """One box, then clicks; one row a structure."""
    challenge = options.protocol == "cvpr25"
    rules = cvpr25.RULES if challenge else PLAIN
    clicks = options.clicks if options.clicks is not None else (cvpr25.CLICKS if challenge else 3)
    if challenge and clicks != cvpr25.CLICKS:
        raise MedVLError(f"The protocol cvpr25 has {cvpr25.CLICKS} clicks; leave --clicks out.")
    stated = tolerances(options.tolerance)
    model = _model(options)
    methods: list[Method] = [Ours(model)]
    if options.peers:
        methods += [NaiveSam2(model), LiteMedSAM()]
    results: list[Result] = []

    def write() -> None:  # as it goes: hours of results are not lost where one case fails or somebody stops
        rows = [{**vars(r), **({"challenge": cvpr25.challenge_score(r)} if challenge else {})} for r in results]
        save_json(options.json, about=about(protocol=rules.name, empty_masks=EMPTY_RULE), results=rows)

    def show(result: Result) -> None:
        results.append(result)
        _show_result(result)
        write()

    for number, case in enumerate(_cases(options, abdomen_sample()), start=1):
        every = _lesions(options) or (challenge and not options.structure)
        structures = structures_of(case, ["all"] if every else options.structure)
        print(f"case {number}, {case.id}: {len(structures)} structures", flush=True)
        for method in methods:
            run_case(method, case, structures, clicks, show, rules, stated)
    print()
    _show(cvpr25.challenge_table(results) if challenge else plain_table(results))
    write()
    return 0


def _show_result(result: Result) -> None:
    dice, nsd = (" ".join(f"{v:.3f}" for v in values) for values in (result.dice, result.nsd))
    seconds = " ".join(f"{s:.1f}" for s in result.seconds)
    print(
        f"{result.method:18s} {result.case:14s} {result.structure:18s} Dice {dice}   NSD {nsd}   s {seconds}",
        flush=True,
    )


def plain_table(results: Sequence[Result]) -> list[str]:
    """One row a structure, means of each method over organs (or lesions); the aorta, a tube, on its own."""
    lesions = bool(results) and all(r.structure.rstrip(" 0123456789") in LESIONS for r in results)
    rows = [
        (r.method, r.case, r.structure, r.dice[0], r.nsd[0], r.dice[-1], r.nsd[-1], r.tolerance_mm, mean(r.seconds[1:]))
        for r in results
    ]
    means = []
    for method in dict.fromkeys(r.method for r in results):
        for label, tube in (("lesions" if lesions else "organs", False), ("aorta", True)):
            mine = [row for row in rows if row[0] == method and (row[2] == "aorta") is tube]
            if mine:
                columns = list(zip(*mine, strict=True))
                figures = [mean(columns[n]) for n in (3, 4, 5, 6)]
                means.append((method, f"mean of {len(mine)}", label, *figures, None, mean(columns[8])))
    clicks = len(results[0].dice) - 1 if results else 0
    last = f"{clicks} clicks" if clicks else "box"
    header = ("method", "case", "structure", "Dice box", "NSD box", f"Dice {last}", f"NSD {last}", "tol. mm", "s/click")
    return [*table(header, rows + means), f"Empty masks: {EMPTY_RULE}."]


def clicks(options: argparse.Namespace) -> int:
    """One positive click, on a slice and through the volume; one row a structure."""
    model = _model(options)
    results: list[ClickResult] = []

    def show(r: ClickResult) -> None:
        results.append(r)
        dices, whole = (" ".join(f"{v:.2f}" for v in r.slice_dice)), cell(r.volume_dice)
        print(f"{r.case:14s} {r.structure:18s} slice {dices}   volume {whole}", flush=True)
        save_json(options.json, about=about(seed=options.seed), results=results)

    for case in _cases(options, abdomen_as_structures()):
        one_click.run_case(
            model, case, options.structure or list(one_click.STRUCTURES), options.per_slice, options.volume, show,
            options.seed,
        )  # fmt: skip
    rows = [(r.case, r.structure, len(r.slice_dice), mean(r.slice_dice), r.volume_dice) for r in results]
    dices = [v for r in results for v in r.slice_dice]
    rows.append(("all", "", len(dices), mean(dices), mean([r.volume_dice for r in results])))
    print()
    _show(table(("case", "structure", "clicks", "Dice slice", "Dice volume"), rows))
    save_json(options.json, about=about(seed=options.seed), results=results)
    return 0


def text_requests(options: argparse.Namespace) -> int:
    """Requests by name, by description, and for what is absent."""
    stated = tolerances(options.tolerance)
    model = _model(options)
    results: list[TextResult] = []
    for case in _cases(options):
        results += text.run_case(model, case, options.edge or [model.networks.edge], _show_request, stated)
    print()
    _show([*text.summary(results), f"Empty masks: {EMPTY_RULE}."])
    save_json(options.json, about=about(empty_masks=EMPTY_RULE), results=results)
    return 0


def _show_request(r: TextResult) -> None:
    scores = "no mask     " if not r.found else "false mask  " if not r.present else f"{r.dice:.3f} {r.nsd:.3f} "
    volumes = f"{r.volume_ml:7.0f} mL (reference {r.reference_ml:.0f})"
    print(f"{r.case:18s} {r.kind:9s} {r.edge:5s} {scores} {volumes:32s} {r.seconds:5.1f} s  {r.request}", flush=True)


def pointings(options: argparse.Namespace) -> int:
    """Masks of the language model's [SEG], and the localiser's."""
    model = _model(options)
    results: list[pointing.PointingResult] = []
    for case in _cases(options):
        for r in pointing.run_case(model, case, options.descriptions):
            results.append(r)
            scores = " ".join(cell(v).rjust(5) for v in (r.coarse, r.seg, r.localiser))
            print(f"{r.case:18s} {r.structure:20s} {scores}  {r.question} {r.answer}", flush=True)
        save_json(options.json, about=about(empty_masks=EMPTY_RULE), results=results)
    print()
    _show(pointing.summary(results))
    return 0


def looks(options: argparse.Namespace) -> int:
    """What the looks see; one row a case and look."""
    if options.cases is None:
        raise MedVLError("Say which scans to look at: --cases CASES.JSON.")
    chosen = options.look or list(look_scores.LOOKS)
    unknown = set(chosen) - look_scores.LOOKS.keys()
    if unknown:
        raise MedVLError(f"There is no look {', '.join(sorted(unknown))}; these are: {', '.join(look_scores.LOOKS)}.")
    model: list[MedVLSAM2] = []

    def find(ct: CTVolume) -> dict[str, Mask]:
        if not model:
            model.append(_model(options))
        return look_scores.found_by(model[0])(ct)

    results: list[look_scores.LookResult] = []
    for case in look_scores.look_cases(options.cases, options.split, options.case):
        masks = look_scores.kept_masks(options.masks, case.id, case.ct, find) if options.masks else find(case.ct)
        for result, seen in look_scores.run_case(case, masks, chosen):
            results.append(result)
            print(f"{result.case:16s} {result.look:18s} {result.seconds:5.1f} s  {result.told or '-'}", flush=True)
            if options.pictures:
                look_scores.picture(case, seen, options.pictures / f"{case.id}_{seen.what}.png")
        save_json(options.json, about=about(), results=results)
    print()
    _show(table(look_scores.HEADER, look_scores.rows(results)))
    return 0


def speed(options: argparse.Namespace) -> int:
    """Seconds of the waits."""
    waits = measure(_model(options), abdomen_sample(), tuple(options.shape))
    _show(table(("wait", "seconds"), list(waits.items())))
    save_json(options.json, about=about(shape=list(options.shape)), seconds=waits)
    return 0


def questions(options: argparse.Namespace) -> int:
    """How well questions are understood, and how true the answers are over the reference labels."""
    asked = load_questions(options.part)
    understood = score(parse, asked)
    parts = sorted(understood)
    rows = {part: understood[part].row() for part in parts}
    names = list(dict.fromkeys(name for row in rows.values() for name in row))
    _show(["Understanding", *table(("", *parts), [(n, *(str(rows[p].get(n, "")) for p in parts)) for n in names])])
    if options.failures and "dev" in understood:  # the test part is kept unseen
        for id, words, expected, got in understood["dev"].failures:
            print(f"{id}: {words}\n  expected {expected}\n  got {got}")
    answered: dict[str, AnswerScore] = {}
    if not options.understanding_only:
        answered = score_answers(asked, _cases(options))
        for part in sorted(answered):
            _show(["", *_answer_table(part, answered[part])])
            if options.failures and part == "dev":
                _show([f"{i}: {q}\n  expected {e}\n  said {a}" for i, q, e, a in answered[part].failures])
    about_answers = {
        part: {**vars(s), "failures": s.failures if part == "dev" else len(s.failures)} for part, s in answered.items()
    }
    save_json(options.json, about=about(), understanding=rows, answers=about_answers)
    return 0


def _answer_table(part: str, s: AnswerScore) -> list[str]:
    title = (
        f"Answers over the reference labels, {part}: {s.answers} questions, {1000 * s.seconds / s.answers:.0f} ms each"
    )
    last = f"refused wrongly {s.refused_wrongly}, wrong side {s.wrong_side}, answers with a failure {len(s.failures)}"
    return [title, *table(("what", "right", "of", "%"), s.rows()), last]


def reports(options: argparse.Namespace) -> int:
    """A report of every case, scored."""
    references = report_scores.load_references(options.references) if options.references else {}
    model = _model(options)
    scores, texts = [], []
    if options.output:
        options.output.mkdir(parents=True, exist_ok=True)
    for case in _cases(options):
        report, masks, seconds = report_scores.write_report(model, case)
        known = frozenset(model.networks.localiser.config.structures) if model.networks.localiser else frozenset()
        reference = references.get(case.id)
        scores.append(report_scores.score_report(report, masks, known, case, seconds, reference))
        if reference is not None:
            texts.append((report_scores.findings_text(report), reference))
        if options.output:
            (options.output / f"{case.id}.md").write_text(report.markdown(), encoding="utf-8")
            content = json.dumps(report.to_dict(), indent=1, ensure_ascii=False)
            (options.output / f"{case.id}.json").write_text(content + "\n", encoding="utf-8")
        print(f"{case.id}: report in {seconds:.1f} s", flush=True)
    print()
    _show(report_scores.summary(scores))
    total = report_scores.total_text(texts, _bert(options, model.device)) if texts else None
    if total:
        _show(["", *report_scores.text_summary(scores, total)])
    elif references:
        print("None of the cases has a reference text: the keys of the references are case ids.")
    save_json(options.json, about=about(), results=[report_scores.as_json(s) for s in scores], text=total)
    return 0


def readings(options: argparse.Namespace) -> int:
    """The vision-language model's own answers on a dataset."""
    scans = reading.questions_of(options.dataset, options.root, options.split)
    model = _model(options)
    if model.vlm is None:
        raise MedVLError(f"The model {options.model!r} has no language model: give 7b, or a folder that has one.")
    answers = reading.answer_all(model.vlm, scans, options.limit, _show_answer, options.max_tokens)
    result = reading.score(answers, _bert(options, model.device))
    print()
    _show(reading.summary(result))
    told = about(dataset=options.dataset, split=options.split, precision=model.vlm.lm.precision.reason)
    save_json(options.json, about=told, **reading.as_json(result), answers=answers)
    return 0


def _show_answer(a: reading.Answered) -> None:
    mark = "" if a.right is None else " right" if a.right else " wrong"
    print(f"{a.scan}: {a.asked.how}, {a.asked.type}{mark}, {a.seconds:.1f} s: {a.said[:100]!r}", flush=True)
