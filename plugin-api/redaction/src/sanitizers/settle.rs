//! From what sanitizers found to what is done: cut to values, without what was redacted before, decided, resolved.

use std::ops::Range;

use codex_plugin_api::Stage;

use super::Sanitizers;
use crate::Subject;
use crate::mode::Marks;
use crate::overlap::{Decided, Resolved, Resume, resolve};
use crate::scan::Hit;
use crate::structured::View;

impl Sanitizers {
    pub(super) fn settle_view(
        &self,
        view: &View<'_>,
        hits: &[Hit],
        stage: Stage,
        path: Option<&str>,
    ) -> Resolved {
        let cut = |range| view.cut(range);
        self.settle(&view.text, hits, cut, (stage, path), Resume::default())
    }

    /// Settles the hits of one text; `cut` divides a finding into the values that it touches.
    pub(crate) fn settle(
        &self,
        text: &str,
        hits: &[Hit],
        cut: impl Fn(Range<usize>) -> Vec<Range<usize>>,
        (stage, path): (Stage, Option<&str>),
        resume: Resume,
    ) -> Resolved {
        if hits.is_empty() {
            return Resolved::default();
        }
        let brackets = self.marks.brackets(text);
        let mut decided = Vec::new();
        for hit in hits {
            let rule = &self.scanners[hit.scanner].rules[hit.rule];
            let parts = cut(hit.start..hit.end)
                .into_iter()
                .flat_map(|piece| Marks::uncovered(text, &brackets, piece));
            for part in parts {
                let value = &text[part.clone()];
                if self.marks.is_whole(value) {
                    continue;
                }
                let decision = self.policy.decide(&Subject {
                    stage,
                    entity: &rule.entity,
                    rule: &rule.id,
                    severity: rule.severity,
                    confidence: hit.confidence,
                    value,
                    path,
                });
                decided.push(Decided {
                    hit: Hit {
                        start: part.start,
                        end: part.end,
                        ..*hit
                    },
                    severity: rule.severity,
                    decision,
                });
            }
        }
        resolve(decided, self.longest, resume)
    }
}
