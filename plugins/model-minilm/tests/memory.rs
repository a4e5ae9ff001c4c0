//! What a model and its training take, by an allocator that counts: weights in the bits that were asked for, room for what
//! trains and nothing for what is frozen.
//! A binary of its own, because the count is of the whole process.
#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(unsafe_code, reason = "an allocator that counts")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use codex_plugin_api::{
    AdapterPlan, Ids, Init, Model, Operation, OptimizerStep, SiteOperation, TokenBatch,
    TrainingPass, TrainingSettings,
};
use codex_plugin_model_minilm::{ArchitectureName, BaseDtype, MiniLm, Settings};

struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
/// The most that was held since it was last set.
static PEAK: AtomicUsize = AtomicUsize::new(0);
/// One test at a time: the count is of all of them.
static ALONE: Mutex<()> = Mutex::new(());

// SAFETY: every request goes to the system's allocator as it came; what is added only counts.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.fetch_add(layout.size(), Ordering::SeqCst) + layout.size();
        PEAK.fetch_max(held, Ordering::SeqCst);
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

/// What `function` gives, the bytes that it leaves in use and the most that were in use meanwhile.
fn taken<T>(function: impl FnOnce() -> T) -> (T, usize, usize) {
    let before = HELD.load(Ordering::SeqCst);
    PEAK.store(before, Ordering::SeqCst);
    let result = function();
    let held = HELD.load(Ordering::SeqCst).saturating_sub(before);
    (result, held, PEAK.load(Ordering::SeqCst) - before)
}

/// Bytes of gradients and both moments of what trains.
fn state(model: &MiniLm) -> usize {
    let parameters = model.parameters().unwrap();
    let trained = parameters.iter().filter(|parameter| parameter.trainable);
    let values: u64 = trained.map(|one| one.shape.iter().product::<u64>()).sum();
    3 * 4 * values as usize
}

/// A LoRA of rank 4 at every site but the embeddings.
fn lora(model: &MiniLm) -> AdapterPlan {
    let operations = model.sites().unwrap().into_iter();
    let operations = operations
        .filter(|site| site.role != "embedding" && site.role != "head")
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
    AdapterPlan {
        operations,
        ..AdapterPlan::default()
    }
}

#[test]
fn a_base_takes_the_bits_that_its_dtype_has_and_never_more_than_a_weight_in_full() {
    let _alone = ALONE
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    for architecture in [ArchitectureName::Gpt2, ArchitectureName::Llama] {
        let settings = Settings {
            architecture,
            vocab_size: 300,
            hidden_size: 256,
            layers: 6,
            ..Settings::default()
        };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap();
        MiniLm::new(&settings, 1).unwrap().save(path).unwrap();
        let mut in_f32 = None;
        for (base_dtype, bits) in [
            (BaseDtype::F32, 32.0),
            (BaseDtype::Bf16, 16.0),
            (BaseDtype::Int8, 8.5),
            (BaseDtype::Nf4, 4.14),
        ] {
            let settings = Settings {
                path: Some(path.to_owned()),
                base_dtype,
                ..Settings::default()
            };
            let (mut model, held, peak) = taken(|| MiniLm::new(&settings, 1).unwrap());
            let (mut whole, mut kept, mut largest) = (0, 0.0, 0);
            for one in model.parameters().unwrap() {
                let values = one.shape.iter().product::<u64>() as usize;
                whole += 4 * values;
                largest = largest.max(4 * values);
                kept += values as f64 * if one.dtype == "f32" { 4.0 } else { bits / 8.0 };
            }
            // Threads of the model before this one may end only now.
            let slack = 150 << 10;
            assert!(
                held.abs_diff(kept as usize) < slack,
                "{base_dtype:?}: {held} bytes, not {kept}"
            );
            // The bytes of one tensor of the file, and its values.
            let most = held + 2 * largest + slack;
            assert!(peak < most, "{base_dtype:?}: {peak} bytes while opening");

            // A step holds a few weights in full, not all: no more than those of one block.
            let plan = lora(&model);
            model.add_adapter("default", &plan).unwrap();
            model.begin_training(&TrainingSettings::default()).unwrap();
            let ids: Vec<u32> = (0..64).collect();
            let offsets = [0, 64];
            let batch = TokenBatch::new(Ids::new(&ids, &offsets).unwrap());
            let mut step = |step| {
                let pass = TrainingPass {
                    step,
                    accumulation: 0,
                    loss_scale: 1.0,
                };
                model.forward_backward(&batch, &pass).unwrap();
                let step = OptimizerStep {
                    learning_rate: 1e-3,
                    max_grad_norm: 1.0,
                };
                model.optimizer_step(&step).unwrap();
            };
            let ((), _, peak) = taken(|| (1..=2).for_each(&mut step));
            let usual = *in_f32.get_or_insert(peak);
            let block = whole / 6;
            assert!(
                peak < usual + block,
                "{base_dtype:?}: {peak} bytes more in a step, {usual} with f32"
            );
        }
    }
}

#[test]
fn training_takes_three_numbers_for_each_that_trains() {
    let _alone = ALONE
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
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
    let plan = lora(&adapted);
    let added = left(|| adapted.add_adapter("default", &plan).unwrap());
    let trained = begin(&mut adapted, &[]);
    assert!(
        (state(&adapted)..state(&adapted) + slack).contains(&trained),
        "{trained} bytes"
    );
    assert!(added < state(&adapted) / 3 + slack, "{added} bytes");
    assert!(trained < whole / 10);
}
