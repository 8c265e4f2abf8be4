"""`tpeak study` and `tpeak trial`: what others may do to a study, and to a trial that a worker has."""

from __future__ import annotations

import argparse

from tpeak.catalog import cancel_study, load_study, pause_study, resume_study, stop_study
from tpeak.cli import explaining, replaying

OF_STUDIES = {
    "pause": (pause_study, "paused", "hand out no trials for the time being"),
    "stop": (stop_study, "stopped", "hand out no more trials; those that run may finish"),
    "cancel": (cancel_study, "cancelled", "stop it, and have the running trials ended"),
    "resume": (resume_study, "open", "open it again"),
}

OF_TRIALS = {
    "cancel": "have it ended: its worker is told so, a waiting one is failed at once",
    "fail": "fail it at once; the worker that has it loses it",
    "retry": "have a failed or lost one computed again, with all its attempts",
    "exempt": "have it not pruned any more, a waiting or a running one",
    "delete": "have it forgotten, by readers and the sampler",
}


def add_arguments(study: argparse.ArgumentParser, trial: argparse.ArgumentParser) -> None:
    """The two commands' own commands."""
    verbs = study.add_subparsers(dest="verb", required=True, metavar="verb")
    for verb, (_, _, described) in OF_STUDIES.items():
        parser = verbs.add_parser(verb, help=described, description=described)
        parser.add_argument("name", metavar="NAME", help="the study's name")
        parser.set_defaults(run=run_study)
    replaying.add_arguments(verbs.add_parser("prune-replay", help=replaying.DESCRIBED, description=replaying.DESCRIBED))
    verbs = trial.add_subparsers(dest="verb", required=True, metavar="verb")
    for verb, described in OF_TRIALS.items():
        parser = verbs.add_parser(verb, help=described, description=described)
        parser.add_argument("name", metavar="NAME", help="the study's name")
        parser.add_argument("number", metavar="NUMBER", type=int, help="the trial's number")
        if verb in ("cancel", "fail"):
            parser.add_argument("--cause", metavar="TEXT", help="why, kept with the trial")
        parser.set_defaults(run=run_trial)
    explaining.add_arguments(verbs.add_parser("explain", help=explaining.DESCRIBED, description=explaining.DESCRIBED))


def run_study(given: argparse.Namespace) -> int:
    """Does what is asked to the study; the exit code."""
    act, state, _ = OF_STUDIES[given.verb]
    act(study_name=given.name)
    print(f"study {given.name} is {state}")
    return 0


def run_trial(given: argparse.Namespace) -> int:
    """Does what is asked to the trial; the exit code."""
    study = load_study(study_name=given.name)
    if given.verb == "cancel":
        study.cancel_trial(given.number, given.cause)
    elif given.verb == "fail":
        study.fail_trial(given.number, given.cause)
    elif given.verb == "retry":
        study.retry_trial(given.number)
    elif given.verb == "exempt":
        study.exempt_trial(given.number)
    else:
        study.delete_trial(given.number)
    print(f"trial {given.number} of study {given.name}: {given.verb} is done")
    return 0
