//! What training takes beside the model, by an allocator that counts: room for what trains and nothing for what is frozen.
//! A binary of its own, because the count is of the whole process.
#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(unsafe_code, reason = "an allocator that counts")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use codex_plugin_api::{AdapterPlan, Init, Model, Operation, SiteOperation, TrainingSettings};
use codex_plugin_model_minilm::{MiniLm, Settings};

struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every request goes to the system's allocator as it came; what is added only counts.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD.fetch_add(layout.size(), Ordering::SeqCst);
        // SAFETY: the caller's promises are the ones that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::SeqCst);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Bytes that `function` leaves in use.
fn left(function: impl FnOnce()) -> usize {
    let before = HELD.load(Ordering::SeqCst);
    function();
    HELD.load(Ordering::SeqCst).saturating_sub(before)
}

/// Bytes of gradients and both moments of what trains.
fn state(model: &MiniLm) -> usize {
    let parameters = model.parameters().unwrap();
    let trained = parameters.iter().filter(|parameter| parameter.trainable);
    let values: u64 = trained.map(|one| one.shape.iter().product::<u64>()).sum();
    3 * 4 * values as usize
}

#[test]
fn training_takes_three_numbers_for_each_that_trains() {
    let settings = Settings {
        hidden_size: 128,
        ..Settings::default()
    };
    let mut model = MiniLm::new(&settings, 1).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap().to_owned();
    model.save(&path).unwrap();
    let slack = 64 << 10;
    let begin = |model: &mut MiniLm, freeze: &[&str]| {
        let settings = TrainingSettings {
            freeze: freeze.iter().map(|&pattern| pattern.to_owned()).collect(),
            ..TrainingSettings::default()
        };
        left(|| model.begin_training(&settings).unwrap())
    };
    let whole = begin(&mut model, &[]);
    assert!(
        (state(&model)..state(&model) + slack).contains(&whole),
        "{whole} bytes"
    );

    let opened = Settings {
        path: Some(path),
        ..Settings::default()
    };
    let mut frozen = MiniLm::new(&opened, 1).unwrap();
    let part = begin(
        &mut frozen,
        &["*.wte.*", "*.wpe.*", "*.c_attn.*", "*.mlp.*"],
    );
    assert!(
        (state(&frozen)..state(&frozen) + slack).contains(&part),
        "{part} bytes"
    );
    assert!(part < whole / 4);

    let mut adapted = MiniLm::new(&opened, 1).unwrap();
    let operations = adapted.sites().unwrap().into_iter();
    let operations = operations
        .filter(|site| site.role != "embedding")
        .map(|site| SiteOperation {
            site: site.name,
            operation: Operation::LowRank {
                rank: 4,
                scale: 2.0,
                dropout: 0.0,
                a: Init::KaimingUniform,
                b: Init::Constant { value: 0.0 },
                train: true,
                shared: None,
                rank_scale: None,
                output_scale: None,
            },
        })
        .collect();
    let plan = AdapterPlan {
        operations,
        ..AdapterPlan::default()
    };
    let added = left(|| adapted.add_adapter("default", &plan).unwrap());
    let trained = begin(&mut adapted, &[]);
    assert!(
        (state(&adapted)..state(&adapted) + slack).contains(&trained),
        "{trained} bytes"
    );
    assert!(added < state(&adapted) / 3 + slack, "{added} bytes");
    assert!(trained < whole / 10);
}
