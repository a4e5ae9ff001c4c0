//! Bad input gets the right exit code, one line that names the thing, and a hint.

use std::fs;

use crate::bench::Bench;
use crate::first_steps::quick;

#[test]
fn settings() {
    let bench = Bench::new();
    for (override_, words) in [
        ("training.learning_rat=1", &["training.learning_rat"][..]),
        ("trainin.steps=1", &["trainin"]),
        ("training.steps=soon", &["training.steps", "soon"]),
        ("training.steps=-1", &["training.steps", "-1"]),
        ("model.hidden_sise=3", &["hidden_sise"]),
        ("model.hidden_size=wide", &["hidden_size", "wide"]),
        ("model.heads=5", &["heads"]),
        ("model=nosuchgroup", &["nosuchgroup"]),
        ("model.name=nosuchmodel", &["nosuchmodel"]),
        ("data.name=gramar", &["gramar"]),
        ("metrics=[lmm]", &["lmm"]),
        ("training.schedule=cosin", &["cosin"]),
        ("notakey", &["notakey"]),
    ] {
        let ran = bench.run(&["train", override_]);
        let code = ran.code;
        assert!(code == Some(2) || code == Some(3), "{override_}: {ran:?}");
        ran.fails(code.unwrap(), words);
    }
    bench
        .run(&["train", "training.learning_rat=1"])
        .fails(2, &[])
        .tells(&["learning_rate"]);
    bench
        .run(&["train", "data.name=gramar"])
        .tells(&["grammar"]);
    bench
        .run(&["train", "--config", "nowhere.yaml"])
        .fails(2, &["nowhere"]);
    bench.write("broken.yaml", "training: [\n");
    bench
        .run(&["train", "--config", "broken.yaml"])
        .fails(2, &["broken.yaml"]);
    bench.write("empty.yaml", "");
    bench
        .run(&[
            "train",
            "--config",
            "empty.yaml",
            "training.steps=1",
            "data.documents=100",
        ])
        .ok();
    bench.write("latin.yaml", b"seed: 1 # caf\xe9\n");
    bench
        .run(&["train", "--config", "latin.yaml"])
        .fails(2, &["latin.yaml"]);
    assert!(!bench.work().join("runs/nosuch").exists());
}

#[test]
fn data() {
    let bench = Bench::new();
    bench.write("empty.txt", "");
    bench.write("blank.txt", "\n\n   \n");
    bench.write("broken.jsonl", "{\"text\": \"a\"}\n{\"text\": \n");
    bench.write("ragged.csv", "text,n\na,1\nb\n");
    bench.write("cut.parquet", "PAR1 and then nothing");
    bench.write("nothing/readme", "");
    bench.write("table.csv", "body,n\na,1\nb,2\n");
    for (file, words) in [
        ("data.path=nowhere.txt", &["nowhere.txt"][..]),
        ("data.path=empty.txt", &["empty.txt"]),
        ("data.path=blank.txt", &["blank.txt"]),
        ("data.path=broken.jsonl", &["broken.jsonl", "2"]),
        ("data.path=ragged.csv", &["ragged.csv", "3"]),
        ("data.path=cut.parquet", &["cut.parquet"]),
    ] {
        bench
            .run(&["train", file, "training.steps=1"])
            .fails(4, words);
    }
    bench
        .run(&[
            "train",
            "data.path=table.csv",
            "data.text_column=txt",
            "training.steps=1",
        ])
        .fails(4, &["txt"])
        .tells(&["body"]);
}

#[test]
fn model_folders() {
    let bench = Bench::new();
    bench.run(&quick(&[])).ok();
    let model = bench.work().join("runs/quick/model");
    let generate = |folder: &str| {
        bench.run(&[
            "generate",
            "--model",
            folder,
            "--prompt",
            "The",
            "--max-new-tokens",
            "2",
        ])
    };

    generate("nowhere").fails(4, &["nowhere"]);
    bench.write("hollow/readme", "");
    generate("hollow").fails(4, &["hollow"]);

    let broken = |name: &str, change: &dyn Fn(&std::path::Path)| {
        let folder = bench.work().join(name);
        fs::create_dir(&folder).unwrap();
        for entry in fs::read_dir(&model).unwrap().flatten() {
            fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
        }
        change(&folder);
        generate(name)
    };
    let weights = |folder: &std::path::Path| folder.join("model.safetensors");
    broken("cut", &|folder| {
        let bytes = fs::read(weights(folder)).unwrap();
        fs::write(weights(folder), &bytes[..bytes.len() / 2]).unwrap();
    })
    .fails(4, &["model.safetensors"]);
    broken("missing", &|folder| {
        edit_header(&weights(folder), |name| {
            name.replace("layers.0", "layers.7").replace("h.0.", "h.7.")
        });
    })
    .fails(4, &["0."]);
    broken("noconfig", &|folder| {
        fs::remove_file(folder.join("config.json")).unwrap();
    })
    .fails(4, &["config.json"]);
    broken("badconfig", &|folder| {
        fs::write(folder.join("config.json"), "{").unwrap();
    })
    .fails(4, &["config.json"]);
    broken("misshaped", &|folder| {
        let text = fs::read_to_string(folder.join("config.json")).unwrap();
        let mut config: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(config["vocab_size"], 512);
        config["vocab_size"] = 513.into();
        fs::write(folder.join("config.json"), config.to_string()).unwrap();
    })
    .fails(4, &["model.safetensors", "513", "512"]);
    broken("notokenizer", &|folder| {
        fs::remove_file(folder.join("tokenizer.json")).unwrap();
    })
    .fails(4, &["tokenizer"]);
}

/// Renames tensors in a safetensors file's header without moving the data.
fn edit_header(file: &std::path::Path, rename: impl Fn(&str) -> String) {
    let bytes = fs::read(file).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header = rename(std::str::from_utf8(&bytes[8..8 + length]).unwrap());
    assert_eq!(header.len(), length, "the header must keep its length");
    assert_ne!(
        header.as_bytes(),
        &bytes[8..8 + length],
        "nothing was renamed"
    );
    fs::write(
        file,
        [&bytes[..8], header.as_bytes(), &bytes[8 + length..]].concat(),
    )
    .unwrap();
}

#[test]
fn prompts() {
    let bench = Bench::new();
    bench.run(&quick(&[])).ok();
    let model = ["generate", "--model", "runs/quick/model"];
    let ran = bench.run_with_input(&[&model[..], &["--prompt", "-"]].concat(), b"The caf\xe9");
    ran.fails(4, &["7"]);
    let long = "The cat sees the dog. ".repeat(400);
    bench
        .run(&[&model[..], &["--prompt", &long]].concat())
        .fails(2, &["prompt"]);
    bench
        .run(&[&model[..], &["--prompt", "The", "--temperature", "-1"]].concat())
        .code(2);
    bench
        .run(&[&model[..], &["--prompt", "The", "--top-p", "1.5"]].concat())
        .code(2);
    bench.run(&model).code(2);
}
