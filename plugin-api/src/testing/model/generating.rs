//! Sessions must say what scoring says.

use super::{ALL, Create, Made, causal, targets};
use crate::testing::report::{Report, close, ensure};
use crate::{Error, Ids, Model, Result};

/// How many ids the sessions read.
const LENGTH: usize = 8;

fn extend(model: &mut dyn Model, sessions: &[u64], parts: &[&[u32]]) -> Result<Vec<f32>> {
    let ids = parts.concat();
    let mut offsets = vec![0];
    for part in parts {
        offsets.push(offsets[offsets.len() - 1] + part.len() as u64);
    }
    model.extend_sessions(sessions, Ids::new(&ids, &offsets)?)
}

/// The log-probability of `id` among a row of logits.
fn log_probability(logits: &[f32], id: u32) -> f64 {
    let greatest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits
        .iter()
        .map(|&logit| f64::from(logit - greatest).exp())
        .sum();
    f64::from(logits[id as usize] - greatest) - sum.ln()
}

pub(super) fn check(report: &mut Report, create: &mut Create<'_>) {
    report.check(
        "sessions agree with scoring, however the ids are divided",
        || {
            let (mut model, info) = causal(create)?;
            let made = Made::new(&info, &[LENGTH]);
            let expected = model.score(&made.batch()?, ALL)?;
            let expected = targets(&expected, 0);
            let width = info.vocab_size as usize;
            for first in [1, made.ids.len() / 2] {
                let session = model.open_session()?;
                let mut at = first;
                let mut logits = extend(&mut *model, &[session], &[&made.ids[..first]])?;
                while at < made.ids.len() {
                    ensure(logits.len() == width, || format!("{} logits", logits.len()))?;
                    let (found, due) = (
                        log_probability(&logits, made.ids[at]),
                        f64::from(expected[at - 1]),
                    );
                    ensure(close(found, due, 2e-3), || {
                        format!("id {at} after a first part of {first}: {found}, scored {due}")
                    })?;
                    logits = extend(&mut *model, &[session], &[&made.ids[at..=at]])?;
                    at += 1;
                }
                model.close_session(session)?;
            }
            Ok(())
        },
    );
    report.check("sessions do not disturb each other", || {
        let (mut model, info) = causal(create)?;
        let made = Made::new(&info, &[LENGTH, LENGTH / 2]);
        let (a, b) = (made.only(0).ids, made.only(1).ids);
        let alone = model.open_session()?;
        let expected = extend(&mut *model, &[alone], &[&a])?;
        let (first, second) = (model.open_session()?, model.open_session()?);
        ensure(first != second && first != alone, || {
            "two sessions have one number".to_owned()
        })?;
        let both = extend(&mut *model, &[first, second], &[&a, &b])?;
        let width = info.vocab_size as usize;
        ensure(both.len() == 2 * width, || format!("{} logits", both.len()))?;
        let same = both
            .iter()
            .zip(&expected)
            .all(|(x, y)| close((*x).into(), (*y).into(), 1e-3));
        ensure(same, || {
            "the logits change when another session is read with it".to_owned()
        })
    });
    report.check(
        "a session that was cut goes on as if it had ended there",
        || {
            let (mut model, info) = causal(create)?;
            let made = Made::new(&info, &[LENGTH]);
            let half = made.ids.len() / 2;
            let session = model.open_session()?;
            let expected = extend(&mut *model, &[session], &[&made.ids])?;
            model.truncate_session(session, half as u64)?;
            let again = extend(&mut *model, &[session], &[&made.ids[half..]])?;
            let same = expected
                .iter()
                .zip(&again)
                .all(|(x, y)| close((*x).into(), (*y).into(), 1e-3));
            ensure(same, || "the logits differ".to_owned())?;
            let longer = model.truncate_session(session, 1 << 20);
            ensure(longer.is_err(), || {
                "a session was cut to more than it holds".to_owned()
            })
        },
    );
    report.check("a session that is closed is gone", || {
        let (mut model, info) = causal(create)?;
        let made = Made::new(&info, &[3]);
        let session = model.open_session()?;
        model.close_session(session)?;
        for (what, result) in [
            (
                "reading",
                extend(&mut *model, &[session], &[&made.ids]).map(drop),
            ),
            ("closing", model.close_session(session)),
        ] {
            match result {
                Err(error) if error.kind() != crate::ErrorKind::Panic => {}
                Err(error) => return Err(error),
                Ok(()) => return Err(Error::failed(format!("{what} it again works"))),
            }
        }
        Ok(())
    });
}
