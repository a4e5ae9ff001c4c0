//! Measures the rules on folders of case files: `sanitizer_corpora FOLDER [--rules FILE] [--least CONFIDENCE] [--misses]`.
//!
//! A case is a line of JSON: `text`, `rule`, `kind` (`tp`: the secret must be found, `fp`: nothing may be), `spans` (byte
//! offsets) where they are known; for personal data `entities`, `spans_chars` and `expected`. A positive counts as found
//! when a finding lies over one of its spans, or anywhere where none are given. Personal cases count for the entities
//! that the rules claim, and only findings of such rules.

#![allow(clippy::print_stdout, clippy::print_stderr, clippy::unwrap_used, reason = "a program that prints figures")]

use std::collections::BTreeMap;
use std::path::Path;

use codex_plugin_api::serde_json::{self, Value};
use codex_plugin_sanitizer_default::rules::{builtin, from_path};
use codex_plugin_sanitizer_default::scan::{Engine, Span};

/// Which rules find an entity of Presidio's; entities that are not here are not claimed.
const CLAIMED: &[(&str, &[&str])] = &[
    ("EMAIL_ADDRESS", &["email-address"]),
    ("CREDIT_CARD", &["payment-card"]),
    ("IBAN_CODE", &["iban"]),
    ("IP_ADDRESS", &["ip-address"]),
    ("MAC_ADDRESS", &["mac-address"]),
    ("PHONE_NUMBER", &["phone-international", "phone-north-america", "phone-local"]),
    ("TR_PHONE_NUMBER", &["tr-phone-number", "phone-international", "phone-local"]),
    ("CRYPTO", &["bitcoin-address", "bitcoin-segwit-address"]),
    ("US_SSN", &["us-ssn", "us-ssn-plain"]),
    ("US_ITIN", &["us-itin", "us-itin-plain"]),
    ("US_MBI", &["us-mbi"]),
    ("US_NPI", &["us-npi"]),
    ("MEDICAL_LICENSE", &["us-dea"]),
    ("ABA_ROUTING_NUMBER", &["us-routing-number"]),
    ("CA_SIN", &["ca-sin"]),
    ("UK_NHS", &["uk-nhs"]),
    ("UK_NINO", &["uk-nino"]),
    ("DE_TAX_ID", &["de-tax-id"]),
    ("DE_PASSPORT", &["de-passport"]),
    ("DE_ID_CARD", &["de-id-card", "de-passport"]),
    ("DE_HEALTH_INSURANCE", &["de-health-insurance"]),
    ("DE_SOCIAL_SECURITY", &["de-social-security"]),
    ("DE_LANR", &["de-lanr"]),
    ("DE_FUEHRERSCHEIN", &["de-fuehrerschein"]),
    ("DE_VAT_ID", &["de-vat-id"]),
    ("ES_NIF", &["es-nif"]),
    ("ES_NIE", &["es-nie"]),
    ("ES_PASSPORT", &["es-passport"]),
    ("IT_FISCAL_CODE", &["it-fiscal-code"]),
    ("IT_VAT_CODE", &["it-vat-code"]),
    ("IT_DRIVER_LICENSE", &["it-driver-license"]),
    ("FI_PERSONAL_IDENTITY_CODE", &["fi-personal-identity-code"]),
    ("SE_PERSONNUMMER", &["se-personnummer"]),
    ("PL_PESEL", &["pl-pesel"]),
    ("TR_NATIONAL_ID", &["tr-national-id"]),
    ("IN_AADHAAR", &["in-aadhaar"]),
    ("IN_PAN", &["in-pan"]),
    ("IN_VOTER", &["in-voter"]),
    ("IN_GSTIN", &["in-gstin"]),
    ("KR_RRN", &["kr-rrn"]),
    ("KR_FRN", &["kr-frn"]),
    ("KR_BRN", &["kr-brn"]),
    ("KR_DRIVER_LICENSE", &["kr-driver-license"]),
    ("KR_PASSPORT", &["kr-passport"]),
    ("SG_NRIC_FIN", &["sg-nric-fin"]),
    ("AU_TFN", &["au-tfn"]),
    ("AU_ABN", &["au-abn"]),
    ("AU_ACN", &["au-acn"]),
    ("AU_MEDICARE", &["au-medicare"]),
    ("TH_TNIN", &["th-id"]),
    ("ZA_ID_NUMBER", &["za-id-number"]),
];

#[derive(Default)]
struct Counts {
    positives: usize,
    found: usize,
    spans: usize,
    exact: usize,
    negatives: usize,
    flagged: usize,
    flagged_by_rule: usize,
}

struct Program {
    engine: Engine,
    least: f32,
    misses: bool,
    own: bool,
}

fn main() -> Result<(), String> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("usage: sanitizer_corpora FOLDER [--rules FILE] [--least CONFIDENCE] [--misses]")?;
    let (mut rules, mut least, mut misses) = (None, 0.0, false);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--rules" => rules = arguments.next(),
            "--least" => least = arguments.next().and_then(|text| text.parse().ok()).ok_or("--least takes a number")?,
            "--misses" => misses = true,
            other => return Err(format!("unknown argument {other}")),
        }
    }
    let set = match &rules {
        Some(path) => from_path(Path::new(path)).map_err(|error| format!("{error}"))?,
        None => builtin::load().map_err(|error| format!("{error}"))?,
    };
    println!("{} rules", set.rules.len());
    let program = Program {
        engine: Engine::new(set).map_err(|error| format!("{error}"))?,
        least,
        misses,
        own: rules.is_none(),
    };
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .map_err(|error| format!("{folder}: {error}"))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
        .collect();
    files.sort();
    for path in files {
        program.suite(&path)?;
    }
    Ok(())
}

impl Program {
    fn suite(&self, path: &Path) -> Result<(), String> {
        let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let mut all = Counts::default();
        let mut by_rule: BTreeMap<String, [usize; 4]> = BTreeMap::new();
        for line in text.lines().filter(|line| !line.is_empty()) {
            let case: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
            let before = [all.positives, all.found, all.negatives, all.flagged];
            if case.get("entities").is_some() {
                self.personal(&case, &mut all);
            } else {
                self.secret(&case, &mut all);
            }
            let name = case["rule"].as_str().or(case["file"].as_str()).unwrap_or_default().to_owned();
            let row = by_rule.entry(name).or_default();
            for (slot, (now, then)) in row.iter_mut().zip([all.positives, all.found, all.negatives, all.flagged].into_iter().zip(before)) {
                *slot += now - then;
            }
        }
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let percent = |part: usize, whole: usize| 100.0 * part as f64 / whole.max(1) as f64;
        println!(
            "{name}: positives {}/{} ({:.1} %), exact spans {}/{} ({:.1} %), negatives flagged {}/{} ({:.1} %), by the rule of the same name {}",
            all.found, all.positives, percent(all.found, all.positives),
            all.exact, all.spans, percent(all.exact, all.spans),
            all.flagged, all.negatives, percent(all.flagged, all.negatives), all.flagged_by_rule,
        );
        if self.misses {
            for (rule, [positives, found, negatives, flagged]) in by_rule {
                if found < positives || flagged > 0 {
                    println!("    {rule}: found {found}/{positives}, flagged {flagged}/{negatives}");
                }
            }
        }
        Ok(())
    }

    fn scan(&self, case: &Value) -> Vec<Span> {
        let text = case["text"].as_str().unwrap_or_default();
        let mut spans = self.engine.scan(text, case["path"].as_str()).unwrap();
        spans.retain(|span| span.confidence >= self.least);
        spans
    }

    fn id(&self, span: &Span) -> &str {
        &self.engine.rules()[span.rule].id
    }

    fn secret(&self, case: &Value, counts: &mut Counts) {
        let text = case["text"].as_str().unwrap_or_default();
        let rule = case["rule"].as_str().unwrap_or_default();
        let mut spans = self.scan(case);
        if self.own {
            let families = ["secret", "password-hash", "url-credentials"];
            spans.retain(|span| families.contains(&self.engine.rules()[span.rule].entity.as_str()));
        } else {
            spans.retain(|span| self.id(span) == rule || !case["spans"].is_array() && case["kind"] != "fp");
        }
        let expected: Vec<(usize, usize)> = case["spans"]
            .as_array()
            .map(|spans| spans.iter().filter_map(|span| Some((span[0].as_u64()? as usize, span[1].as_u64()? as usize))).collect())
            .unwrap_or_default();
        let shown = |what: &str| {
            if self.misses {
                println!("  {what} {rule}: {text:?} {:?}", spans.iter().map(|span| (self.id(span), &text[span.start..span.end], span.confidence)).collect::<Vec<_>>());
            }
        };
        if case["kind"] == "fp" {
            counts.negatives += 1;
            counts.flagged += usize::from(!spans.is_empty());
            counts.flagged_by_rule += usize::from(spans.iter().any(|span| self.id(span) == rule));
            if !spans.is_empty() {
                shown("flagged");
            }
            return;
        }
        counts.positives += 1;
        let over = |&(start, end): &(usize, usize)| spans.iter().any(|span| span.start < end && start < span.end);
        let found = if expected.is_empty() { !spans.is_empty() } else { expected.iter().any(over) };
        counts.found += usize::from(found);
        counts.spans += expected.len();
        counts.exact += expected.iter().filter(|&&(start, end)| spans.iter().any(|span| (span.start, span.end) == (start, end))).count();
        if !found {
            shown("missed");
        }
    }

    fn personal(&self, case: &Value, counts: &mut Counts) {
        let text = case["text"].as_str().unwrap_or_default();
        let rules: Vec<&str> = case["entities"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|entity| CLAIMED.iter().find(|(name, _)| Some(*name) == entity.as_str()))
            .flat_map(|(_, rules)| rules.iter().copied())
            .collect();
        if rules.is_empty() {
            return;
        }
        let spans: Vec<Span> = self.scan(case).into_iter().filter(|span| rules.contains(&self.id(span))).collect();
        let expected = case["expected"].as_u64().unwrap_or(0) as usize;
        let shown = |what: &str| {
            if self.misses {
                println!("  {what} {}: {text:?} {:?}", case["entities"], spans.iter().map(|span| (&text[span.start..span.end], span.confidence)).collect::<Vec<_>>());
            }
        };
        if expected == 0 {
            counts.negatives += 1;
            counts.flagged += usize::from(!spans.is_empty());
            if !spans.is_empty() {
                shown("flagged");
            }
            return;
        }
        let bytes = |characters: u64| text.char_indices().nth(characters as usize).map_or(text.len(), |(place, _)| place);
        let places: Vec<(usize, usize)> = case["spans_chars"]
            .as_array()
            .map(|spans| spans.iter().filter_map(|span| Some((bytes(span[0].as_u64()?), bytes(span[1].as_u64()?)))).collect())
            .unwrap_or_default();
        counts.positives += expected;
        let found = if places.is_empty() {
            spans.len().min(expected)
        } else {
            places.iter().filter(|&&(start, end)| spans.iter().any(|span| span.start < end && start < span.end)).count()
        };
        counts.found += found;
        counts.spans += places.len();
        counts.exact += places.iter().filter(|&&(start, end)| spans.iter().any(|span| (span.start, span.end) == (start, end))).count();
        if found < expected {
            shown("missed");
        }
    }
}
