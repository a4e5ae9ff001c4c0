//! Sanitizers across the border.

use abi_stable::StableAbi;
use abi_stable::std_types::RVec;

use super::buffers::{AbiTexts, from_json, to_json};
use super::error::{AbiResult, broken};
use super::guard::guard;
use super::object::{Proxy, object, release, shared, table};
use crate::{Error, Finding, Result, Rule, Sanitizer, Stage, Texts};

/// [`Finding`].
#[repr(C)]
#[derive(Clone, Copy, StableAbi)]
pub struct AbiFinding {
    start: u64,
    end: u64,
    text: u32,
    rule: u32,
    confidence: f32,
}

/// The stages by their number.
const STAGES: [Stage; 4] = [Stage::Ingest, Stage::Prompt, Stage::Output, Stage::Log];

/// The functions of a sanitizer.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = SanitizerTable, prefix_fields = SanitizerTablePrefix)))]
pub struct SanitizerFunctions {
    release: unsafe extern "C" fn(*mut ()),
    /// A list of [`Rule`] as JSON.
    rules: unsafe extern "C" fn(*mut ()) -> AbiResult<RVec<u8>>,
    max_span: unsafe extern "C" fn(*mut ()) -> AbiResult<u32>,
    /// The stage is 0 ingest, 1 prompt, 2 output, 3 log.
    #[sabi(last_prefix_field)]
    scan: unsafe extern "C" fn(*mut (), AbiTexts<'_>, u8) -> AbiResult<RVec<AbiFinding>>,
}

table! {
    SanitizerTable of SanitizerFunctions {
        release: release::<dyn Sanitizer>,
        rules,
        max_span,
        scan,
    }
}

object! {
    /// A sanitizer.
    AbiSanitizer, SanitizerTable, Sanitizer
}

// SAFETY: the trait requires it of the instance, and the table is constant.
unsafe impl Sync for AbiSanitizer {}

// SAFETY of every function below: the table's contract. `this` is a live instance made with this table.

unsafe extern "C" fn rules(this: *mut ()) -> AbiResult<RVec<u8>> {
    // SAFETY: see above.
    guard(|| to_json(&unsafe { shared::<dyn Sanitizer>(this) }.rules()?, "rules"))
}

unsafe extern "C" fn max_span(this: *mut ()) -> AbiResult<u32> {
    // SAFETY: see above.
    guard(|| Ok(unsafe { shared::<dyn Sanitizer>(this) }.max_span()))
}

unsafe extern "C" fn scan(
    this: *mut (),
    texts: AbiTexts<'_>,
    stage: u8,
) -> AbiResult<RVec<AbiFinding>> {
    guard(|| {
        let stage = STAGES
            .get(usize::from(stage))
            .ok_or_else(|| Error::unsupported(format!("scanning at stage {stage}")))?;
        // SAFETY: see above.
        let findings = unsafe { shared::<dyn Sanitizer>(this) }.scan(texts.read()?, *stage)?;
        Ok(findings
            .into_iter()
            .map(|finding| AbiFinding {
                start: finding.start,
                end: finding.end,
                text: finding.text,
                rule: finding.rule,
                confidence: finding.confidence,
            })
            .collect())
    })
}

/// The using side.
struct SanitizerProxy {
    proxy: Proxy<AbiSanitizer>,
    rules: Vec<Rule>,
    max_span: u32,
}

impl AbiSanitizer {
    /// The sanitizer as its trait; its rules, which are fixed, are read now.
    ///
    /// # Errors
    /// When the rules cannot be read.
    pub fn import(self) -> Result<Box<dyn Sanitizer>> {
        let proxy = Proxy::new(self);
        // SAFETY: the object owns a live instance of its own table.
        let rules = proxy.call(|it| unsafe { it.table.rules()(it.this) })?;
        // SAFETY: as above.
        let max_span = proxy.call(|it| unsafe { it.table.max_span()(it.this) })?;
        Ok(Box::new(SanitizerProxy {
            proxy,
            rules: from_json(rules, "rules")?,
            max_span,
        }))
    }
}

/// What the host relies on when it redacts.
pub(crate) fn check_findings(
    findings: &[Finding],
    texts: Texts<'_>,
    rules: usize,
    max_span: u32,
) -> Result<()> {
    let mut last = (0, 0);
    for (index, finding) in findings.iter().enumerate() {
        let Finding {
            start,
            end,
            text,
            rule,
            confidence,
        } = *finding;
        let wrong = |why: &str| {
            let place = format!("finding {index} (text {text}, bytes {start}..{end})");
            Err(broken(format!("{place}, which {why}")))
        };
        let Some(whole) = texts.get(text as usize) else {
            return wrong(&format!("is in none of {} texts", texts.len()));
        };
        if rule as usize >= rules {
            return wrong(&format!("has rule {rule} of {rules}"));
        }
        if start >= end || whole.get(start as usize..end as usize).is_none() {
            return wrong("is empty, outside the text or splits a character");
        }
        if end - start > u64::from(max_span) {
            return wrong(&format!("is longer than {max_span} bytes"));
        }
        if !(0.0..=1.0).contains(&confidence) {
            return wrong(&format!("has confidence {confidence}"));
        }
        if (text, start) < last {
            return wrong("is out of order");
        }
        last = (text, start);
    }
    Ok(())
}

impl Sanitizer for SanitizerProxy {
    fn rules(&self) -> Result<Vec<Rule>> {
        Ok(self.rules.clone())
    }

    fn max_span(&self) -> u32 {
        self.max_span
    }

    fn scan(&self, texts: Texts<'_>, stage: Stage) -> Result<Vec<Finding>> {
        let number = STAGES.iter().position(|&known| known == stage);
        let number = number.unwrap_or(STAGES.len()) as u8;
        let given = AbiTexts::new(texts);
        let findings: Vec<Finding> = self
            .proxy
            // SAFETY: the object owns a live instance of its own table.
            .call(|it| unsafe { it.table.scan()(it.this, given, number) })?
            .into_iter()
            .map(|finding| Finding {
                start: finding.start,
                end: finding.end,
                text: finding.text,
                rule: finding.rule,
                confidence: finding.confidence,
            })
            .collect();
        check_findings(&findings, texts, self.rules.len(), self.max_span)?;
        Ok(findings)
    }
}
