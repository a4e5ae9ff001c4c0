//! Generation with a model that recites: ends, stops, lengths, several prompts.
#![allow(clippy::unwrap_used, reason = "tests")]

use codex_plugin_api::{ModelInfo, Parameter, ScoreRequest, Scores, TokenBatch};

use super::*;
use crate::testing::{BigramModel, ByteTokenizer, app};

fn settings() -> Settings {
    Settings {
        sampling: Sampling {
            temperature: 0.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            repetition_penalty: 1.0,
            seed: 0,
        },
        max_new_tokens: 100,
        stop: Vec::new(),
        end_tokens: vec![256],
        blocked: Vec::new(),
        blocked_ignore_case: false,
    }
}

fn prompt(text: &str) -> Vec<u32> {
    prompt_ids(&ByteTokenizer, text, false).unwrap()
}

fn run(
    model: &mut BigramModel,
    prompts: &[&str],
    settings: &Settings,
) -> Result<(Vec<Completion>, Vec<String>)> {
    let prompts: Vec<Vec<u32>> = prompts.iter().map(|text| prompt(text)).collect();
    let mut shown = vec![String::new(); prompts.len()];
    let completions = generate(
        model,
        &ByteTokenizer,
        &prompts,
        settings,
        &app(),
        &mut |index, text| {
            shown[index].push_str(text);
            Ok(())
        },
    )?;
    assert!(model.sessions.is_empty(), "a session was left open");
    Ok((completions, shown))
}

fn completion(text: &str, tokens: u64, finish_reason: FinishReason) -> Completion {
    Completion {
        text: text.into(),
        tokens,
        finish_reason,
    }
}

#[test]
fn the_text_ends_where_the_model_ends_it() {
    let mut model = BigramModel::reciting("abčdef");
    let (completions, shown) = run(&mut model, &["a"], &settings()).unwrap();
    assert_eq!(completions, [completion("bčdef", 6, FinishReason::Eos)]);
    assert_eq!(shown, ["bčdef"]);
    // The prompt is read once, then one token at a time.
    assert_eq!(model.calls[0], [2]);
    assert!(model.calls[1..].iter().all(|lengths| lengths == &[1]));
}

#[test]
fn lengths_and_stop_texts_end_it_too() {
    for (change, expected) in [
        (
            Settings {
                max_new_tokens: 2,
                ..settings()
            },
            completion("bc", 2, FinishReason::Length),
        ),
        (
            Settings {
                stop: vec!["de".into()],
                ..settings()
            },
            completion("bc", 4, FinishReason::Stop),
        ),
        (
            Settings {
                stop: vec!["f".into(), "cd".into()],
                ..settings()
            },
            completion("b", 3, FinishReason::Stop),
        ),
    ] {
        let (completions, shown) =
            run(&mut BigramModel::reciting("abcdef"), &["a"], &change).unwrap();
        assert_eq!(shown[0], completions[0].text);
        assert_eq!(completions, [expected]);
    }
}

#[test]
fn a_full_context_is_a_length() {
    for (longest, expected) in [(2, "b"), (3, "bc"), (4, "bcd")] {
        let mut model = BigramModel {
            max_sequence_length: longest,
            ..BigramModel::reciting("abcdef")
        };
        let (completions, _) = run(&mut model, &["a"], &settings()).unwrap();
        assert_eq!(
            completions,
            [completion(
                expected,
                expected.len() as u64,
                FinishReason::Length
            )]
        );
        let error = run(&mut model, &["abcd"], &settings()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(
            error
                .message()
                .contains(&format!("5 tokens, and the model reads {longest}")),
            "{error}"
        );
    }
}

#[test]
fn several_prompts_share_passes_and_do_not_disturb_each_other() {
    let prompts: Vec<String> = (0..40)
        .map(|n| "abcdef"[n % 6..=n % 6].to_owned())
        .collect();
    let prompts: Vec<&str> = prompts.iter().map(String::as_str).collect();
    let mut model = BigramModel::reciting("abcdef");
    let (completions, _) = run(&mut model, &prompts, &settings()).unwrap();
    for (prompt, completion) in prompts.iter().zip(&completions) {
        let at = "abcdef".find(prompt).unwrap();
        assert_eq!(completion.text, "abcdef"[at + 1..]);
        assert_eq!(completion.finish_reason, FinishReason::Eos);
    }
    // Three groups of at most 16, each as long as its longest text and its end.
    assert_eq!(model.calls.len(), 3 * 6);
    assert_eq!(model.calls[0].len(), 16);

    let drawn = Settings {
        sampling: Sampling {
            temperature: 1.0,
            ..settings().sampling
        },
        max_new_tokens: 20,
        ..settings()
    };
    // Each prompt is continued as it is alone, and one that is given twice in two ways.
    let (all, _) = run(&mut BigramModel::uniform(257), &["b", "a", "a"], &drawn).unwrap();
    for (index, prompt) in [(0, "b"), (1, "a")] {
        let (alone, _) = run(&mut BigramModel::uniform(257), &[prompt], &drawn).unwrap();
        assert_eq!(all[index], alone[0]);
    }
    assert_ne!(all[1].text, all[2].text);
}

/// Gives the same logits whatever came before.
struct Constant(Vec<f32>);

impl Model for Constant {
    fn info(&self) -> Result<ModelInfo> {
        BigramModel::uniform(self.0.len() as u32).info()
    }
    fn parameters(&self) -> Result<Vec<Parameter>> {
        Ok(Vec::new())
    }
    fn score(&mut self, _: &TokenBatch<'_>, _: ScoreRequest) -> Result<Scores> {
        Err(Error::unsupported("scoring"))
    }
    fn save(&self, _: &str) -> Result<()> {
        Ok(())
    }
    fn open_session(&mut self) -> Result<u64> {
        Ok(0)
    }
    fn extend_sessions(&mut self, sessions: &[u64], _: Ids<'_>) -> Result<Vec<f32>> {
        Ok(self.0.repeat(sessions.len()))
    }
    fn close_session(&mut self, _: u64) -> Result<()> {
        Ok(())
    }
}

#[test]
fn a_penalty_counts_what_the_prompt_and_the_continuation_hold() {
    let mut model = Constant(vec![1.0, 0.9, 0.8, 0.7, 0.6]);
    let settings = Settings {
        sampling: Sampling {
            repetition_penalty: 2.0,
            ..settings().sampling
        },
        max_new_tokens: 5,
        ..settings()
    };
    let mut text = Vec::new();
    let mut show = |_: usize, piece: &str| {
        text.extend(piece.bytes());
        Ok(())
    };
    let prompts = [vec![3]];
    generate(
        &mut model,
        &ByteTokenizer,
        &prompts,
        &settings,
        &app(),
        &mut show,
    )
    .unwrap();
    // 3 stands in the prompt; when all were there once, the likeliest comes again.
    assert_eq!(text, [0, 1, 2, 4, 0]);
}

#[test]
fn ids_that_the_tokenizer_does_not_know_are_never_chosen() {
    let mut model = BigramModel::uniform(300);
    model.following.insert(u32::from(b'a'), 299);
    model.surprise = 1000.0;
    run(&mut model, &["a"], &settings()).unwrap();
}

#[test]
fn an_empty_prompt_begins_a_text() {
    assert_eq!(prompt(""), [256]);
    assert_eq!(prompt("a"), [256, 97]);
    assert_eq!(prompt_ids(&ByteTokenizer, "a", true).unwrap(), [97]);
    assert_eq!(prompt_ids(&ByteTokenizer, "", true).unwrap(), [256]);
}

#[test]
fn what_cannot_go_on_closes_its_sessions() {
    let mut model = BigramModel::reciting("ab");
    model.surprise = f32::NAN;
    let error = run(&mut model, &["a", "b"], &settings()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Plugin);
    assert!(
        error.message().contains("prompt 1 after 2 tokens"),
        "{error}"
    );
    assert!(model.sessions.is_empty());

    let app = app();
    app.interrupt.request();
    let error = generate(
        &mut model,
        &ByteTokenizer,
        &[vec![97]],
        &settings(),
        &app,
        &mut |_, _| Ok(()),
    )
    .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted);
    assert!(model.sessions.is_empty());

    for bad in [
        Settings {
            stop: vec![String::new()],
            ..settings()
        },
        Settings {
            max_new_tokens: 0,
            ..settings()
        },
    ] {
        assert_eq!(
            run(&mut BigramModel::uniform(257), &["a"], &bad)
                .unwrap_err()
                .kind(),
            ErrorKind::Config
        );
    }
}

#[test]
fn a_blocked_text_is_never_generated_not_even_together_with_the_prompt() {
    for (prompt, blocked) in [("a", "cd"), ("abc", "bcd")] {
        let settings = Settings {
            blocked: vec![blocked.into()],
            ..settings()
        };
        let (completions, _) =
            run(&mut BigramModel::reciting("abcdef"), &[prompt], &settings).unwrap();
        let text = format!("{prompt}{}", completions[0].text);
        assert!(text.starts_with("abc") && !text.contains(blocked), "{text}");
    }
    let settings = Settings {
        blocked: (0..128u8)
            .map(|byte| char::from(byte).to_string())
            .collect(),
        ..settings()
    };
    let mut model = BigramModel::uniform(128);
    let mut show = |_: usize, _: &str| Ok(());
    let prompts = [vec![97]];
    let completions = generate(
        &mut model,
        &ByteTokenizer,
        &prompts,
        &settings,
        &app(),
        &mut show,
    );
    assert_eq!(
        completions.unwrap(),
        [completion("", 0, FinishReason::Blocked)]
    );
}
