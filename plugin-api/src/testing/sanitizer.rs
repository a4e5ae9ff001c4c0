//! What every sanitizer promises.

use super::report::{Report, ensure, texts};
use crate::abi::v1::check_findings;
use crate::{Error, Finding, Result, Sanitizer, Stage, TextBuffer};

const STAGES: [Stage; 4] = [Stage::Ingest, Stage::Prompt, Stage::Output, Stage::Log];

fn scan(sanitizer: &dyn Sanitizer, texts: &[String], stage: Stage) -> Result<Vec<Finding>> {
    let buffer: TextBuffer = texts.iter().collect();
    let findings = sanitizer.scan(buffer.as_texts(), stage)?;
    let (rules, max_span) = (sanitizer.rules()?.len(), sanitizer.max_span());
    check_findings(&findings, buffer.as_texts(), rules, max_span)?;
    Ok(findings)
}

/// Checks what `create` creates.
pub fn sanitizer(create: &mut dyn FnMut() -> Result<Box<dyn Sanitizer>>) -> Report {
    let mut report = Report::default();
    let mut texts = texts();
    texts.extend(
        [
            "AKIAIOSFODNN7EXAMPLE and ghp_16C7e42F292c6912E7710c838347Ae178B4a",
            "password = \"hunter2hunter2\"; iban DE89370400440532013000; card 4111 1111 1111 1111",
            "č0123456789č 🦀0123456789🦀",
        ]
        .map(str::to_owned),
    );

    report.check("rules are named once and stay as they are", || {
        let sanitizer = create()?;
        let rules = sanitizer.rules()?;
        ensure(!rules.is_empty(), || "there is no rule".to_owned())?;
        for (index, rule) in rules.iter().enumerate() {
            ensure(!rule.id.is_empty() && !rule.entity.is_empty(), || {
                format!("rule {index} has no id or no entity")
            })?;
            ensure(
                rules[..index].iter().all(|other| other.id != rule.id),
                || format!("rule {:?} is there twice", rule.id),
            )?;
        }
        ensure(rules == sanitizer.rules()?, || "they change".to_owned())?;
        ensure(sanitizer.max_span() > 0, || "max_span is 0".to_owned())
    });
    report.check(
        "findings lie within their texts, on characters, in order",
        || {
            let sanitizer = create()?;
            for stage in STAGES {
                scan(&*sanitizer, &texts, stage)?;
            }
            let none = scan(&*sanitizer, &[], Stage::Ingest)?;
            ensure(none.is_empty(), || {
                format!("{} findings in no text", none.len())
            })
        },
    );
    report.check("a text's findings do not depend on its neighbours", || {
        let sanitizer = create()?;
        let together = scan(&*sanitizer, &texts, Stage::Ingest)?;
        for (index, text) in texts.iter().enumerate() {
            let alone = scan(&*sanitizer, std::slice::from_ref(text), Stage::Ingest)?;
            let expected: Vec<Finding> = together
                .iter()
                .filter(|finding| finding.text as usize == index)
                .map(|finding| Finding {
                    text: 0,
                    ..*finding
                })
                .collect();
            ensure(alone == expected, || {
                format!("text {text:?} alone gives {alone:?}, among others {expected:?}")
            })?;
        }
        Ok(())
    });
    report.check("several threads find the same", || {
        let sanitizer = create()?;
        let expected = scan(&*sanitizer, &texts, Stage::Output)?;
        let (sanitizer, texts, expected) = (&*sanitizer, &texts, &expected);
        std::thread::scope(|scope| {
            let scanners: Vec<_> = (0..4)
                .map(|_| scope.spawn(move || scan(sanitizer, texts, Stage::Output)))
                .collect();
            scanners.into_iter().try_for_each(|scanner| {
                let found = scanner
                    .join()
                    .map_err(|_| Error::failed("a scanning thread panicked"))??;
                ensure(found == *expected, || {
                    format!("{found:?}, not {expected:?}")
                })
            })
        })
    });
    report
}
