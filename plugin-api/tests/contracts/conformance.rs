//! The kit passes honest components, and each of its checks fails for some dishonest one.

use std::collections::BTreeSet;

use codex_plugin_api::testing::{self, Outcome, Report};
use codex_plugin_api::{Result, abi::v1, serde_json::json};

use crate::components::Fault;
use crate::components::bigram::Bigram;
use crate::components::bytes::Bytes;
use crate::components::loss::MeanLoss;
use crate::components::numbers::Numbers;
use crate::components::small::{Echo, Fours, Lines, Shift};

/// `run` with no fault passes all checks; each fault makes the check fail that it names; together they reach every check.
fn hold(run: &dyn Fn(Fault) -> Report, faults: &[(&'static str, &str)]) {
    let honest = run(Fault::default());
    assert!(
        honest
            .checks
            .iter()
            .all(|check| check.outcome == Outcome::Passed),
        "an honest component:\n{honest}"
    );
    let mut reached = BTreeSet::new();
    for &(fault, check) in faults {
        let report = run(Fault(fault));
        assert!(
            matches!(report.outcome(check), Some(Outcome::Failed(_))),
            "with fault {fault:?} the check {check:?} did not fail:\n{report}"
        );
        assert!(!report.passed());
        reached.insert(check);
    }
    for check in &honest.checks {
        assert!(
            reached.contains(check.name),
            "no fault makes {:?} fail",
            check.name
        );
    }
}

#[test]
fn metrics() {
    let run = |fault| {
        testing::metric(&mut || {
            v1::AbiMetric::export(Box::new(MeanLoss::new(fault)), None).import()
        })
    };
    hold(
        &run,
        &[
            ("stable needs", "needs are the same at every call"),
            ("no sample", "scores without a sample are no error"),
            ("names", "scores without a sample are no error"),
            ("empty update", "an update without samples changes nothing"),
            ("compute", "compute changes nothing"),
            (
                "any division",
                "how samples are divided into calls does not matter",
            ),
            ("merge", "merged states equal the whole"),
            ("bad state", "bytes that are no state are refused"),
        ],
    );
}

#[test]
fn datasets() {
    let run = |fault| testing::dataset(&mut || Ok(Box::new(Numbers::new(fault))));
    hold(
        &run,
        &[
            ("stable info", "its description is the same at every call"),
            ("columns exist", "the columns that it names exist"),
            ("all columns", "every batch has the promised columns"),
            ("any order", "how rows are asked for does not change them"),
            ("length", "it ends where it says"),
            ("threads", "several threads read the same rows"),
        ],
    );
}

#[test]
fn tokenizers() {
    let run = |fault| {
        testing::tokenizer(&mut |folder| {
            v1::AbiTokenizer::export(Box::new(Bytes::new(fault, folder)?), None).import()
        })
    };
    hold(
        &run,
        &[
            ("untrained", "an untrained tokenizer says so"),
            (
                "feeding",
                "what it learns does not depend on how texts are divided",
            ),
            (
                "fixed vocabulary",
                "its vocabulary is fixed and holds its special tokens",
            ),
            (
                "special tokens",
                "its vocabulary is fixed and holds its special tokens",
            ),
            (
                "ids in vocabulary",
                "one sequence a text, every id in the vocabulary",
            ),
            ("neighbours", "a text's ids do not depend on its neighbours"),
            ("lossless", "what is lossless comes back"),
            (
                "byte offsets",
                "byte offsets lie within the text and go forward",
            ),
            ("max_length", "max_length cuts and does nothing else"),
            ("skipping", "special tokens can be added and skipped"),
            ("token names", "tokens have names that lead back to them"),
            ("unknown ids", "ids beyond the vocabulary are refused"),
            ("threads", "several threads encode the same"),
            ("saving", "what is saved is the same when opened again"),
        ],
    );
}

#[test]
fn models() {
    let run = |fault| {
        testing::model(&mut |folder| {
            v1::AbiModel::export(Box::new(Bigram::new(fault, folder)?), None).import()
        })
    };
    hold(
        &run,
        &[
            ("info", "its description is the same at every call"),
            ("parameters", "every parameter is named once"),
            (
                "loss",
                "the loss is the sum of its targets' log-probabilities",
            ),
            ("scoring", "scoring changes nothing"),
            (
                "neighbours",
                "a sequence's scores do not depend on its neighbours",
            ),
            ("labels", "labels that do not count are not scored"),
            ("free sequences", "sequences without a target cost nothing"),
            (
                "ids",
                "ids beyond the vocabulary and sequences that are too long are refused",
            ),
            (
                "embeddings",
                "embeddings have the promised width and no neighbours",
            ),
            (
                "sessions",
                "sessions agree with scoring, however the ids are divided",
            ),
            ("sessions apart", "sessions do not disturb each other"),
            (
                "cut sessions",
                "a session that was cut goes on as if it had ended there",
            ),
            ("closed sessions", "a session that is closed is gone"),
            ("training loss", "the training loss is the scored loss"),
            (
                "gradients",
                "every trainable parameter receives a finite gradient",
            ),
            ("learning", "the loss falls"),
            ("accumulation", "accumulated batches equal one large batch"),
            (
                "state",
                "training goes on bit for bit from an exported state",
            ),
            ("saving", "what is saved scores the same when opened again"),
        ],
    );
}

#[test]
fn trackers() {
    let run = |fault| testing::tracker(&mut || Ok(Box::new(Lines::new(fault))));
    hold(
        &run,
        &[
            ("whole run", "a run is followed from start to finish"),
            ("batches", "events may come in any batches"),
            ("resuming", "a run that was taken up again is followed"),
            ("no events", "a run without events is no error"),
        ],
    );
}

#[test]
fn sanitizers() {
    let run = |fault| testing::sanitizer(&mut || Ok(Box::new(Fours(fault))));
    hold(
        &run,
        &[
            ("rules", "rules are named once and stay as they are"),
            (
                "spans",
                "findings lie within their texts, on characters, in order",
            ),
            (
                "neighbours",
                "a text's findings do not depend on its neighbours",
            ),
            ("threads", "several threads find the same"),
        ],
    );
}

#[test]
fn adapters() {
    let run = |fault| testing::adapter(&mut || Ok(Box::new(Shift(fault))));
    hold(
        &run,
        &[
            (
                "sites",
                "operations are on sites that exist, with values that are there",
            ),
            (
                "values",
                "operations are on sites that exist, with values that are there",
            ),
            (
                "listing",
                "a model that it does not fit is refused with the sites that exist",
            ),
            ("no sites", "a model without sites is no panic"),
            ("equal plans", "equal sites give equal plans"),
            ("values", "the plan can be written down"),
        ],
    );
}

#[test]
fn commands() {
    let arguments = json!({"name": "Ada", "times": 2});
    let run = |fault| testing::command(&mut || Ok(Box::new(Echo(fault))), &arguments);
    hold(
        &run,
        &[
            ("exit code", "it runs"),
            ("agreement", "two runs with the same arguments agree"),
            ("interruption", "an interruption is no failure"),
            ("bare host", "a host that offers nothing is no panic"),
        ],
    );
}

#[test]
fn what_cannot_be_created_is_reported() {
    let report =
        testing::metric(&mut || -> Result<_> { Err(codex_plugin_api::Error::config("rank is 0")) });
    assert!(!report.passed());
    assert!(
        report
            .to_string()
            .contains("FAILED   needs are the same at every call: rank is 0")
    );
    let panicked = std::panic::catch_unwind(|| report.assert()).unwrap_err();
    let text = panicked.downcast_ref::<String>().unwrap();
    assert!(text.contains("breaks its contract"), "{text}");
}
