"""What is wrong with a body is said in words, by a code and by a pointer to it, and nothing of it is stored."""

from __future__ import annotations

from typing import Any

import pytest

ASK = "POST /studies/{study}/ask"
SUGGEST = "POST /studies/{study}/trials/{number}/suggest"

# What is wrong, where, and which code says so. Everything else about these bodies is right.
REFUSED: list[tuple[str, str, Any, str]] = [
    ("POST /studies", "/name", "", "invalid_request"),
    ("POST /studies", "/name", "x" * 256, "invalid_request"),
    ("POST /studies", "/name", 1, "invalid_request"),
    ("POST /studies", "/request_id", "x" * 129, "invalid_request"),
    ("POST /studies", "/directions", [], "invalid_request"),
    ("POST /studies", "/directions", "minimize", "invalid_request"),
    ("POST /studies", "/directions/0", "min", "invalid_request"),
    ("POST /studies", "/if_exists", "replace", "invalid_request"),
    ("POST /studies", "/sampler", "tpe", "invalid_request"),
    ("POST /studies", "/sampler/name", "bayes", "invalid_request"),
    ("POST /studies", "/sampler/n_startup_trials", -1, "invalid_request"),
    ("POST /studies", "/sampler/n_startup_trials", "10", "invalid_request"),
    ("POST /studies", "/sampler/n_ei_candidates", 10_001, "invalid_request"),
    ("POST /studies", "/sampler/multivariate", 1, "invalid_request"),
    ("POST /studies", "/sampler/group", None, "invalid_request"),
    ("POST /studies", "/sampler/constant_liar", "true", "invalid_request"),
    ("POST /studies", "/sampler/prior_weight", 0.0, "invalid_request"),
    ("POST /studies", "/sampler/prior_weight", -1, "invalid_request"),
    ("POST /studies", "/sampler/prior_weight", 5e-324, "invalid_request"),
    ("POST /studies", "/sampler/prior_weight", "Infinity", "invalid_request"),
    ("POST /studies", "/sampler/consider_magic_clip", [], "invalid_request"),
    ("POST /studies", "/sampler/consider_endpoints", {}, "invalid_request"),
    ("POST /studies", "/sampler/reference", "optuna4", "invalid_request"),
    ("POST /studies", "/sampler/reference", ["optuna5"], "invalid_request"),
    ("POST /studies", "/sampler/gamma", 1, "invalid_request"),
    ("POST /studies", "/pruner/percentile", 100.5, "invalid_request"),
    ("POST /studies", "/pruner/percentile", "NaN", "invalid_request"),
    ("POST /studies", "/space", [], "invalid_request"),
    ("POST /studies", "/space/x", {"type": "uniform"}, "invalid_request"),
    ("POST /studies", "/space/x/low", "NaN", "invalid_request"),
    ("POST /studies", "/space/x/low", 2.0, "invalid_distribution"),
    ("POST /studies", "/space/x/step", 0.0, "invalid_distribution"),
    ("POST /studies", "/space/x/step", -0.5, "invalid_distribution"),
    ("POST /studies", "/space/n/step", 0, "invalid_distribution"),
    ("POST /studies", "/space/n/low", 1.5, "invalid_request"),
    ("POST /studies", "/space/c/choices", [], "invalid_distribution"),
    ("POST /studies", "/space/c/choices/1", "a", "invalid_distribution"),
    ("POST /studies", "/space/c/choices/4", 1.0, "invalid_distribution"),
    ("POST /studies", "/seed", -1, "invalid_request"),
    ("POST /studies", "/seed", True, "invalid_request"),
    ("POST /studies", "/max_trials", 0, "invalid_request"),
    ("POST /studies", "/max_trials", 2**31, "invalid_request"),
    ("POST /studies", "/timeout_s", 0, "invalid_request"),
    ("POST /studies", "/timeout_s", "Infinity", "invalid_request"),
    ("POST /studies", "/lease_seconds", 1.0, "invalid_request"),
    ("POST /studies", "/max_attempts", 0, "invalid_request"),
    ("POST /studies", "/user_attrs", [], "invalid_request"),
    ("POST /studies", "/tags/0", "", "invalid_request"),
    ("POST /studies", "/note", 1, "invalid_request"),
    ("PATCH /studies/{study}", "/name", "", "invalid_request"),
    ("PATCH /studies/{study}", "/sampler/n_startup_trials", 1, "invalid_request"),
    ("PATCH /studies/{study}", "/directions", ["maximize"], "invalid_request"),
    ("POST /studies", "/max_host_failures", 0, "invalid_request"),
    ("POST /studies", "/max_host_failures", 2.0, "invalid_request"),
    ("POST /studies", "/late_results", "keep", "invalid_request"),
    ("POST /studies", "/stop_when/patience", 2.0, "invalid_request"),
    ("POST /studies", "/stop_when/target/0", "0.5", "invalid_request"),
    ("POST /studies", "/stop_when/target", [0.5, 0.5], "invalid_request"),
    ("PATCH /studies/{study}", "/stop_when/what", 1, "invalid_request"),
    ("POST /studies", "/warm_start", [{}] * 17, "invalid_request"),
    ("PATCH /studies/{study}", "/warm_start", [], "invalid_request"),
    ("PATCH /studies/{study}", "/max_host_failures", 2**31, "invalid_request"),
    ("PATCH /studies/{study}", "/late_results", True, "invalid_request"),
    ("POST /studies/{study}/pause", "/request_id", "", "invalid_request"),
    ("POST /studies/{study}/cancel", "/request_id", "x" * 129, "invalid_request"),
    ("POST /studies/{study}/ask", "/host", "", "invalid_request"),
    ("POST /studies/{study}/ask", "/host", "x" * 256, "invalid_request"),
    ("POST /studies/{study}/ask", "/wall_time_s", -1.0, "invalid_request"),
    ("POST /studies/{study}/ask", "/wall_time_s", "Infinity", "invalid_request"),
    ("POST /studies/{study}/ask", "/resumable", 1, "invalid_request"),
    ("POST /studies/{study}/ask", "/count", 0, "invalid_request"),
    ("POST /studies/{study}/ask", "/count", 1001, "invalid_request"),
    ("POST /studies/{study}/ask", "/count", 2.0, "invalid_request"),
    ("POST /studies/{study}/ask", "/worker", "", "invalid_request"),
    ("POST /studies/{study}/ask", "/distributions/x/low", 1.5, "invalid_distribution"),
    ("POST /studies/{study}/ask", "/distributions/x/log", "yes", "invalid_request"),
    ("POST /studies/{study}/ask", "/distributions/x/what", 1, "invalid_request"),
    ("POST /studies/{study}/ask", "/distributions/n/low", 10, "invalid_distribution"),
    ("POST /studies/{study}/ask", "/distributions/c/choices/0", [], "invalid_request"),
    ("POST /studies/{study}/trials/{number}/suggest", "/name", None, "invalid_request"),
    ("POST /studies/{study}/trials/{number}/suggest", "/distribution", {}, "invalid_request"),
    ("POST /studies/{study}/trials/{number}/suggest", "/distribution/low", 10, "invalid_distribution"),
    ("POST /studies/{study}/trials/{number}/report", "/reports", [], "invalid_request"),
    (
        "POST /studies/{study}/trials/{number}/report",
        "/reports",
        [{"step": n, "values": [0.5]} for n in range(1001)],
        "invalid_request",
    ),
    ("POST /studies/{study}/trials/{number}/report", "/reports/0/step", 1.0, "invalid_request"),
    ("POST /studies/{study}/trials/{number}/report", "/reports/0/values", 0.5, "invalid_request"),
    ("POST /studies/{study}/trials/{number}/report", "/reports/0/values/0", "nan", "invalid_request"),
    ("POST /studies/{study}/trials/{number}/report", "/reports/0/step", 2**53 + 1, "invalid_request"),
    ("POST /studies/{study}/trials/{number}/report", "/reports/1/step", -(2**53) - 1, "invalid_request"),
    ("POST /studies/{study}/trials/{number}/report", "/reports/0/step", 10**400, "invalid_request"),
    ("POST /studies/{study}/trials/{number}/report", "/reports/0/values/0", 2**53 + 1, "invalid_request"),
    ("POST /studies/{study}/trials/{number}/report", "/reports/0/values/0", 10**400, "invalid_request"),
    ("POST /studies/{study}/trials/{number}/report", "/reports/0/values/0", None, "invalid_request"),
    ("POST /studies/{study}/trials/{number}/report", "/reports/0/values", ["NaN", "NaN"], "invalid_value"),
    ("POST /studies/{study}/trials/{number}/report", "/reports/0/cost", "NaN", "invalid_request"),
    ("POST /studies/{study}/trials/{number}/report", "/reports/0/cost", "Infinity", "invalid_request"),
    ("POST /studies/{study}/trials/{number}/report", "/reports/0/cost", -0.25, "invalid_request"),
    ("POST /studies/{study}/trials/{number}/report", "/reports/1/cost", -(2**53), "invalid_request"),
    ("POST /studies/{study}/trials/{number}/report", "/reports/0/cost", 2**53 + 1, "invalid_request"),
    ("POST /studies/{study}/trials/{number}/report", "/lease", 2**53 + 1, "invalid_request"),
    ("POST /studies/{study}/trials", "/trials/1/reports/0/cost", -1.0, "invalid_request"),
    ("POST /studies/{study}/trials", "/trials/1/reports", [{"step": 1, "values": [0.5, 0.5]}], "invalid_value"),
    ("POST /studies/{study}/import", "/lines/1/reports/0/cost", -1.0, "invalid_request"),
    ("POST /studies/{study}/trials/{number}/report", "/reports/1/values", [0.5, 0.5], "invalid_value"),
    ("POST /studies/{study}/trials/{number}/report", "/used/0", 1, "invalid_request"),
    ("POST /studies/{study}/trials/{number}/tell", "/state", "waiting", "invalid_request"),
    ("POST /studies/{study}/trials/{number}/tell", "/values", [], "invalid_request"),
    ("POST /studies/{study}/trials/{number}/tell", "/values", None, "invalid_value"),
    ("POST /studies/{study}/trials/{number}/tell", "/values", [0.5, 0.5], "invalid_value"),
    ("POST /studies/{study}/trials/{number}/tell", "/values/0", True, "invalid_request"),
    ("POST /studies/{study}/trials/{number}/tell", "/values/0", "0.5", "invalid_request"),
    ("POST /studies/{study}/trials/{number}/tell", "/constraints/0", None, "invalid_request"),
    ("POST /studies/{study}/trials/{number}/tell", "/error", 1, "invalid_request"),
    ("POST /studies/{study}/trials/{number}/tell", "/retry", 1, "invalid_request"),
    ("POST /studies/{study}/trials/{number}/tell", "/retry", True, "invalid_request"),
    ("POST /studies/{study}/trials/{number}/heartbeat", "/lease", "", "invalid_request"),
    ("POST /studies/{study}/trials/{number}/release", "/step", "3", "invalid_request"),
    ("POST /studies/{study}/trials/{number}/release", "/checkpoint", 3, "invalid_request"),
    ("POST /studies/{study}/trials", "/trials", [], "invalid_request"),
    ("POST /studies/{study}/trials", "/trials", [{}] * 1001, "invalid_request"),
    ("POST /studies/{study}/trials", "/trials/0", None, "invalid_request"),
    ("POST /studies/{study}/trials", "/trials/0/state", "running", "invalid_request"),
    ("POST /studies/{study}/trials", "/trials/0/params/x", "half", "invalid_value"),
    ("POST /studies/{study}/trials", "/trials/0/params/q", [], "invalid_request"),
    ("POST /studies/{study}/trials", "/trials/1/params/n", 3.5, "invalid_value"),
    ("POST /studies/{study}/trials", "/trials/1/params/c", "b", "invalid_value"),
    ("POST /studies/{study}/trials", "/trials/1/distributions/n/low", 10, "invalid_distribution"),
    ("POST /studies/{study}/trials", "/trials/1/values", ["NaN"], "invalid_value"),
    ("PATCH /studies/{study}/trials/{number}", "/user_attrs", [], "invalid_request"),
    ("PATCH /studies/{study}/trials/{number}", "/action", "pause", "invalid_request"),
    ("PATCH /studies/{study}/trials/{number}", "/cause", 1, "invalid_request"),
    ("POST /workers", "/pid", -1, "invalid_request"),
    ("POST /workers", "/git_dirty", "no", "invalid_request"),
    ("POST /workers", "/job", [], "invalid_request"),
]


@pytest.mark.parametrize(("route", "where", "value", "code"), REFUSED)
def test_the_problem_says_what_is_wrong_and_where(target: Any, route: str, where: str, value: Any, code: str) -> None:
    body = inner = target.valid(route)
    *path, last = (int(key) if key.isdigit() else key for key in where.split("/")[1:])
    for key in path:
        inner = inner[key]
    inner[last] = value
    response = target.send(route, body)
    assert (response.status_code, response.json().get("where"), response.json()["code"]) == (422, where, code)
    assert target.now_stored() == target.stored


@pytest.mark.parametrize("missing", ["lease", "name", "distribution"])
def test_a_missing_field_is_pointed_at_as_well(target: Any, missing: str) -> None:
    body = target.valid(SUGGEST)
    del body[missing]
    problem = target.send(SUGGEST, body).json()
    assert (problem["where"], problem["detail"]) == (f"/{missing}", "Field required")


@pytest.mark.parametrize("missing", ["low", "high"])
def test_a_missing_field_of_a_distribution_is_pointed_at_without_the_kind(target: Any, missing: str) -> None:
    body = target.valid(SUGGEST)
    del body["distribution"][missing]
    assert target.send(SUGGEST, body).json()["where"] == f"/distribution/{missing}"


@pytest.mark.parametrize("body", [None, [], "text", 1, True])
def test_a_body_that_is_no_object_is_wrong_as_a_whole(target: Any, writing: str, body: Any) -> None:
    response = target.send(writing, body)
    assert (response.status_code, response.json()["where"], response.json()["code"]) == (422, "", "invalid_request")


def test_a_key_with_a_slash_is_escaped_in_the_pointer(target: Any) -> None:
    upside_down = {"type": "float", "low": 1.0, "high": 0.0}
    problem = target.send(ASK, {**target.valid(ASK), "distributions": {"a/b~c": upside_down}}).json()
    assert (problem["code"], problem["where"]) == ("invalid_distribution", "/distributions/a~1b~0c/low")
    problem = target.send(ASK, {**target.valid(ASK), "a/b~c": 1}).json()
    assert (problem["code"], problem["where"]) == ("invalid_request", "/a~1b~0c")


@pytest.mark.parametrize(
    ("body", "where"),
    [({}, "/user_attrs"), ({"cause": "none"}, "/cause"), ({"user_attrs": {}, "cause": "none"}, "/cause")],
)
def test_a_change_of_a_trial_changes_something_and_a_cause_is_for_an_action(
    target: Any, body: dict[str, Any], where: str
) -> None:
    problem = target.send("PATCH /studies/{study}/trials/{number}", {"request_id": "key", **body}).json()
    assert (problem["code"], problem["where"]) == ("invalid_request", where)
    assert target.now_stored() == target.stored


def test_who_wants_a_failure_to_be_tried_again_needs_the_lease(target: Any) -> None:
    body = {"state": "failed", "retry": True}
    problem = target.send("POST /studies/{study}/trials/{number}/tell", body).json()
    assert (problem["code"], problem["where"]) == ("invalid_request", "/retry")
