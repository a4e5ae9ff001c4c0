//! Cases for personal data: how many of an entity a text has, and where.

use codex_plugin_sanitizer_default::scan::Span;

use crate::Program;
use crate::cases::{Case, Share};

/// Which rules find an entity of Presidio's; entities that are not here are not claimed.
const CLAIMED: &[(&str, &[&str])] = &[
    ("EMAIL_ADDRESS", &["email-address"]),
    ("CREDIT_CARD", &["payment-card", "payment-card-uatp"]),
    ("IBAN_CODE", &["iban"]),
    ("IP_ADDRESS", &["ip-address"]),
    ("MAC_ADDRESS", &["mac-address"]),
    (
        "PHONE_NUMBER",
        &["phone-international", "phone-north-america", "phone-local"],
    ),
    (
        "TR_PHONE_NUMBER",
        &["tr-phone-number", "phone-international", "phone-local"],
    ),
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

pub(crate) fn measure(program: &Program, cases: &[Case]) -> Result<String, String> {
    let (mut found, mut exact, mut flagged) =
        (Share::default(), Share::default(), Share::default());
    for case in cases {
        let rules = claimed(case);
        if rules.is_empty() {
            continue;
        }
        let mut spans = program.scan(case)?;
        spans.retain(|span| rules.contains(&program.id(span)));
        if case.is_negative() {
            flagged.count(usize::from(!spans.is_empty()), 1);
            if !spans.is_empty() {
                program.show("flagged", case, &spans);
            }
            continue;
        }
        let places = places(case);
        let expected = case.expected.unwrap_or(places.len());
        let count = if places.is_empty() {
            spans.len().min(expected)
        } else {
            matching(&places, |start, end| {
                spans
                    .iter()
                    .any(|span| span.start < end && start < span.end)
            })
        };
        found.count(count, expected);
        let is_exact = |start, end| {
            spans
                .iter()
                .any(|span: &Span| (span.start, span.end) == (start, end))
        };
        exact.count(matching(&places, is_exact), places.len());
        if count < expected {
            program.show("missed", case, &spans);
        }
    }
    Ok(format!(
        "expected spans found {found}, exact {exact}, empty cases flagged {flagged}"
    ))
}

/// The rules that look for a case's entities.
fn claimed(case: &Case) -> Vec<&'static str> {
    case.entities
        .iter()
        .flatten()
        .filter_map(|entity| CLAIMED.iter().find(|(name, _)| name == entity))
        .flat_map(|(_, rules)| rules.iter().copied())
        .collect()
}

/// The expected spans in bytes.
fn places(case: &Case) -> Vec<(usize, usize)> {
    let bytes = |characters: usize| {
        case.text
            .char_indices()
            .nth(characters)
            .map_or(case.text.len(), |(place, _)| place)
    };
    case.spans_chars
        .iter()
        .flatten()
        .map(|&(start, end)| (bytes(start), bytes(end)))
        .collect()
}

fn matching(places: &[(usize, usize)], is: impl Fn(usize, usize) -> bool) -> usize {
    places
        .iter()
        .filter(|&&(start, end)| is(start, end))
        .count()
}
