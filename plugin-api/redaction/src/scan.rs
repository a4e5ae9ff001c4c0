//! Asks sanitizers what they find, and refuses what breaks the contract of [`codex_plugin_api::Sanitizer`].

use std::sync::Arc;

use codex_plugin_api::{Error, ErrorKind, Finding, Result, Rule, Sanitizer, Stage, Texts};

/// The longest name of a rule or an entity: placeholders stay short enough to be known again in a stream.
const LONGEST_NAME: usize = 128;

/// A sanitizer that also looks at the file a text comes from. Only a caller that has it in the same library can ask one:
/// the path does not cross a plugin's border.
pub trait FileSanitizer: Sanitizer {
    /// As [`Sanitizer::scan`], for texts of one file.
    ///
    /// # Errors
    /// As [`Sanitizer::scan`].
    fn scan_file(&self, texts: Texts<'_>, stage: Stage, path: Option<&str>)
    -> Result<Vec<Finding>>;
}

/// How a sanitizer is asked.
pub(crate) enum Asked {
    Texts(Arc<dyn Sanitizer>),
    Files(Arc<dyn FileSanitizer>),
}

impl Asked {
    fn sanitizer(&self) -> &dyn Sanitizer {
        match self {
            Self::Texts(sanitizer) => &**sanitizer,
            Self::Files(sanitizer) => &**sanitizer,
        }
    }
}

/// A sanitizer with what it said about itself.
pub(crate) struct Scanner {
    /// The plugin, as errors and reports name it.
    pub(crate) id: String,
    pub(crate) rules: Vec<Rule>,
    pub(crate) max_span: usize,
    asked: Asked,
}

/// A finding with the sanitizer that made it, by its place in the list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hit {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) scanner: usize,
    pub(crate) rule: usize,
    pub(crate) confidence: f32,
}

impl Scanner {
    pub(crate) fn new(id: String, asked: Asked) -> Result<Self> {
        let rules = asked
            .sanitizer()
            .rules()
            .map_err(|error| failed(&id, error))?;
        for (index, rule) in rules.iter().enumerate() {
            for (what, name) in [("name", &rule.id), ("entity", &rule.entity)] {
                if name.is_empty() || name.len() > LONGEST_NAME || name.contains(char::is_control) {
                    return Err(broken(
                        &id,
                        &format!(
                            "rule {index} has a bad {what}: {:?}",
                            name.chars().take(40).collect::<String>()
                        ),
                    ));
                }
            }
        }
        Ok(Self {
            max_span: asked.sanitizer().max_span() as usize,
            id,
            rules,
            asked,
        })
    }

    /// The findings in each text, ordered by start.
    ///
    /// # Errors
    /// [`ErrorKind::Plugin`] naming the plugin, when it fails or answers against its contract.
    pub(crate) fn scan(
        &self,
        texts: Texts<'_>,
        stage: Stage,
        path: Option<&str>,
    ) -> Result<Vec<Finding>> {
        let findings = match &self.asked {
            Asked::Texts(sanitizer) => sanitizer.scan(texts, stage),
            Asked::Files(sanitizer) => sanitizer.scan_file(texts, stage, path),
        }
        .map_err(|error| failed(&self.id, error))?;
        let mut last = (0, 0);
        for (index, finding) in findings.iter().enumerate() {
            if let Some(fault) = self.fault(finding, texts, last) {
                return Err(broken(&self.id, &format!("finding {index} {fault}")));
            }
            last = (finding.text, finding.start);
        }
        Ok(findings)
    }

    fn fault(&self, finding: &Finding, texts: Texts<'_>, last: (u32, u64)) -> Option<String> {
        let Finding {
            start,
            end,
            text: index,
            rule,
            confidence,
        } = *finding;
        let Some(text) = texts.get(index as usize) else {
            return Some(format!("is in text {index} of {}", texts.len()));
        };
        let on_border = |at: u64| usize::try_from(at).is_ok_and(|at| text.is_char_boundary(at));
        if (index, start) < last {
            return Some("is out of order".into());
        }
        if start >= end || end > text.len() as u64 {
            let length = text.len();
            return Some(format!("is at {start}..{end} of a text of {length} bytes"));
        }
        if !on_border(start) || !on_border(end) {
            return Some(format!("at {start}..{end} splits a character"));
        }
        if end - start > self.max_span as u64 {
            let (length, longest) = (end - start, self.max_span);
            return Some(format!("has {length} bytes where {longest} are the most"));
        }
        if rule as usize >= self.rules.len() {
            return Some(format!("is of rule {rule} of {}", self.rules.len()));
        }
        (!(0.0..=1.0).contains(&confidence)).then(|| format!("has the confidence {confidence}"))
    }
}

fn failed(id: &str, error: Error) -> Error {
    let message = format!("sanitizer {id} failed: {}", error.message());
    let kind = match error.kind() {
        ErrorKind::Interrupted => ErrorKind::Interrupted,
        _ => ErrorKind::Plugin,
    };
    error.with_kind(kind).with_message(message)
}

fn broken(id: &str, fault: &str) -> Error {
    Error::new(
        ErrorKind::Plugin,
        format!("sanitizer {id} broke its contract: {fault}"),
    )
    .hint(format!(
        "report this to the authors of {id}, or remove it from sanitizers"
    ))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use codex_plugin_api::{Severity, TextBuffer};

    use super::*;

    struct Fixed(Vec<Finding>);

    impl Sanitizer for Fixed {
        fn rules(&self) -> Result<Vec<Rule>> {
            Ok(vec![Rule {
                id: "only".into(),
                entity: "secret".into(),
                severity: Severity::High,
                description: String::new(),
            }])
        }
        fn max_span(&self) -> u32 {
            4
        }
        fn scan(&self, _texts: Texts<'_>, _stage: Stage) -> Result<Vec<Finding>> {
            Ok(self.0.clone())
        }
    }

    fn scan(findings: &[(u32, u64, u64, u32, f32)]) -> Result<Vec<Finding>> {
        let findings = findings
            .iter()
            .map(|&(text, start, end, rule, confidence)| Finding {
                start,
                end,
                text,
                rule,
                confidence,
            })
            .collect();
        let texts: TextBuffer = ["plain text", "ůň"].into_iter().collect();
        Scanner::new("fixed".into(), Asked::Texts(Arc::new(Fixed(findings))))?.scan(
            texts.as_texts(),
            Stage::Log,
            None,
        )
    }

    #[test]
    fn findings_against_the_contract_are_refused_by_name() {
        scan(&[(0, 0, 4, 0, 0.0), (0, 0, 2, 0, 1.0), (1, 2, 4, 0, 0.5)]).unwrap();
        for (findings, fault) in [
            (vec![(2, 0, 1, 0, 0.5)], "finding 0 is in text 2 of 2"),
            (
                vec![(1, 0, 2, 0, 0.5), (0, 0, 2, 0, 0.5)],
                "finding 1 is out of order",
            ),
            (
                vec![(0, 3, 4, 0, 0.5), (0, 2, 4, 0, 0.5)],
                "finding 1 is out of order",
            ),
            (vec![(0, 3, 3, 0, 0.5)], "is at 3..3 of a text of 10 bytes"),
            (vec![(0, 8, 11, 0, 0.5)], "is at 8..11"),
            (vec![(1, 0, 1, 0, 0.5)], "at 0..1 splits a character"),
            (vec![(0, 0, 5, 0, 0.5)], "has 5 bytes where 4 are the most"),
            (vec![(0, 0, 1, 1, 0.5)], "is of rule 1 of 1"),
            (vec![(0, 0, 1, 0, 1.5)], "has the confidence 1.5"),
            (vec![(0, 0, 1, 0, f32::NAN)], "has the confidence NaN"),
        ] {
            let error = scan(&findings).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Plugin);
            assert!(
                error.message().starts_with("sanitizer fixed broke"),
                "{error}"
            );
            assert!(error.message().contains(fault), "{error}");
            assert!(error.hint_text().is_some());
        }
    }
}
