//! Sessions: several at once, cut back, and beyond the limit.

use codex_plugin_api::{ErrorKind, Ids, Model};
use codex_plugin_model_minilm::{ArchitectureName, MiniLm};

use crate::{fresh, text};

fn extend(model: &mut MiniLm, parts: &[(u64, &[u32])]) -> codex_plugin_api::Result<Vec<f32>> {
    let sessions: Vec<u64> = parts.iter().map(|part| part.0).collect();
    let ids: Vec<u32> = parts.iter().flat_map(|part| part.1.to_vec()).collect();
    let mut offsets = vec![0];
    for part in parts {
        offsets.push(offsets.last().unwrap() + part.1.len() as u64);
    }
    model.extend_sessions(&sessions, Ids::new(&ids, &offsets)?)
}

#[test]
fn several_sessions_give_what_whole_sequences_give() {
    for architecture in [ArchitectureName::Gpt2, ArchitectureName::Llama] {
        let mut model = fresh(architecture, 0.5); // dropout is for training only
        let (ids, offsets) = text(&[40, 64], 5);
        let whole = model.logits(Ids::new(&ids, &offsets).unwrap()).unwrap();
        let (a, b) = (model.open_session().unwrap(), model.open_session().unwrap());
        let close = |found: &[f32], row: usize| {
            for (x, y) in found.iter().zip(&whole[row * 300..(row + 1) * 300]) {
                assert!((x - y).abs() < 2e-5, "row {row}: {x} and {y}");
            }
        };
        close(&extend(&mut model, &[(a, &ids[..7])]).unwrap(), 6);
        // Both at once, one of them fresh; then what was read wrongly is taken back.
        let both = extend(&mut model, &[(a, &ids[7..20]), (b, &ids[40..41])]).unwrap();
        close(&both[..300], 19);
        close(&both[300..], 40);
        extend(&mut model, &[(b, &[9, 9, 9])]).unwrap();
        model.truncate_session(b, 1).unwrap();
        for at in 1..40 {
            if at < 20 {
                let both = extend(
                    &mut model,
                    &[(b, &ids[40 + at..41 + at]), (a, &ids[20 + at - 1..20 + at])],
                )
                .unwrap();
                close(&both[..300], 40 + at);
                close(&both[300..], 20 + at - 1);
            } else {
                close(
                    &extend(&mut model, &[(b, &ids[40 + at..41 + at])]).unwrap(),
                    40 + at,
                );
            }
        }
        model.close_session(a).unwrap();
        assert!(model.close_session(a).is_err());
    }
}

#[test]
fn limits_leave_a_session_as_it_was() {
    let mut model = fresh(ArchitectureName::Gpt2, 0.0);
    let session = model.open_session().unwrap();
    let (ids, _) = text(&[64], 1);
    extend(&mut model, &[(session, &ids)]).unwrap();
    let error = extend(&mut model, &[(session, &[1])]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Data);
    assert!(error.message().contains("65 tokens"), "{error}");
    model.truncate_session(session, 63).unwrap();
    extend(&mut model, &[(session, &ids[63..])]).unwrap();
    assert!(model.truncate_session(session, 65).is_err());
    assert!(extend(&mut model, &[(session + 1, &[1])]).is_err());
    assert!(extend(&mut model, &[(session, &[])]).is_err());
    assert!(extend(&mut model, &[(session, &[1]), (session, &[2])]).is_err());
    model.truncate_session(session, 0).unwrap();
    extend(&mut model, &[(session, &ids[..1])]).unwrap();
}
