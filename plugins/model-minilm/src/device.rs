//! Where a model computes: what `device` in the settings means in this build and on this machine. The functions of
//! `codex-nn` follow the tensors, so nothing else has to know.

use candle_core::Device;
use codex_plugin_api::{Error, LogLevel, Result};

/// Whether this build can use NVIDIA GPUs at all.
const HAS_CUDA: bool = cfg!(feature = "cuda");
/// CUDA devices that `auto` tries.
const TRIED: usize = 16;

/// What `device` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Auto,
    Cpu,
    Cuda(usize),
}

fn wanted(text: &str) -> Result<Wanted> {
    match text {
        "auto" => Ok(Wanted::Auto),
        "cpu" => Ok(Wanted::Cpu),
        "cuda" => Ok(Wanted::Cuda(0)),
        _ => text
            .strip_prefix("cuda:")
            .and_then(|number| number.parse().ok())
            .map(Wanted::Cuda)
            .ok_or_else(|| {
                Error::config(format!("device is {text:?}, which is none"))
                    .hint("set device to auto, cpu or cuda:N, for example cuda:0")
            }),
    }
}

/// A device, and what is worth saying about how it was found.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) device: Device,
    pub(crate) remark: Option<(LogLevel, String)>,
}

/// The device that `text` names.
///
/// # Errors
/// [`codex_plugin_api::ErrorKind::Config`] when it names none, or one that this build or machine does not have.
pub(crate) fn find(text: &str) -> Result<Found> {
    let found = |device, remark| Ok(Found { device, remark });
    match wanted(text)? {
        Wanted::Cpu => found(Device::Cpu, None),
        Wanted::Auto if !HAS_CUDA => found(Device::Cpu, None),
        Wanted::Auto => {
            let mut why = None;
            for ordinal in 0..TRIED {
                match open(ordinal) {
                    Ok(device) => {
                        let remark = format!("computing on cuda:{ordinal}");
                        return found(device, Some((LogLevel::Info, remark)));
                    }
                    Err(cause) => why = why.or(Some(cause)),
                }
            }
            let why = why.map_or_else(String::new, |cause| format!(" ({})", line(&cause)));
            let remark = format!("no CUDA device works{why}: computing on the CPU");
            found(Device::Cpu, Some((LogLevel::Warning, remark)))
        }
        Wanted::Cuda(_) if !HAS_CUDA => Err(Error::config(format!(
            "device is {text:?}, but this build of model-minilm computes on the CPU only"
        ))
        .hint(
            "set device to cpu, or install the build with CUDA: build it with `--features cuda` as docs/gpu.md says, \
             then `codex-ml plugin install` it",
        )),
        Wanted::Cuda(ordinal) => match open(ordinal) {
            Ok(device) => found(device, None),
            Err(cause) => Err(Error::config(format!(
                "device is {text:?}, but it does not work: {}",
                line(&cause)
            ))
            .because(&cause)
            .hint(
                "`nvidia-smi` lists the devices that the driver has; a build for a newer compute capability than the \
                 GPU's does not work either (docs/gpu.md)",
            )),
        },
    }
}

/// Opens a device and computes something on it, so that a kernel that it cannot run shows here and not in training.
fn open(ordinal: usize) -> candle_core::Result<Device> {
    // A stream of its own: candle's other choice is one a thread, and a model is called from any thread of its pool.
    let device = Device::new_cuda_with_stream(ordinal)?;
    let numbers = candle_core::Tensor::new(&[1.0f32, 2.0], &device)?;
    let sum = numbers.affine(2.0, 1.0)?.sum_all()?.to_scalar::<f32>()?;
    if sum == 8.0 {
        Ok(device)
    } else {
        candle_core::bail!("2·1+1 + 2·2+1 is {sum} on it")
    }
}

/// candle's errors may carry a backtrace behind the first line.
fn line(cause: &candle_core::Error) -> String {
    let text = cause.to_string();
    text.lines().next().unwrap_or_default().to_owned()
}

/// The name of a device in [`codex_plugin_api::ModelInfo`].
pub(crate) fn name(device: &Device) -> String {
    match device.location() {
        candle_core::DeviceLocation::Cpu => "cpu".to_owned(),
        candle_core::DeviceLocation::Cuda { gpu_id } => format!("cuda:{gpu_id}"),
        candle_core::DeviceLocation::Metal { gpu_id } => format!("metal:{gpu_id}"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn words_for_devices() {
        for (text, expected) in [
            ("auto", Some(Wanted::Auto)),
            ("cpu", Some(Wanted::Cpu)),
            ("cuda", Some(Wanted::Cuda(0))),
            ("cuda:3", Some(Wanted::Cuda(3))),
            ("cuda:", None),
            ("cuda:x", None),
            ("gpu", None),
            ("", None),
        ] {
            assert_eq!(wanted(text).ok(), expected, "{text:?}");
        }
    }

    #[test]
    fn auto_always_finds_something_and_says_so_where_it_had_a_choice() {
        let found = find("auto").unwrap();
        assert_eq!(found.remark.is_some(), HAS_CUDA, "{found:?}");
        if !HAS_CUDA {
            assert!(found.device.is_cpu());
        }
    }

    #[test]
    fn a_gpu_is_refused_where_there_is_none() {
        // With CUDA, no machine has a device of this number.
        let error = find("cuda:4000").unwrap_err();
        assert_eq!(error.kind(), codex_plugin_api::ErrorKind::Config);
        let expected = if HAS_CUDA {
            "device is \"cuda:4000\", but it does not work: "
        } else {
            "device is \"cuda:4000\", but this build of model-minilm computes on the CPU only"
        };
        assert!(error.message().starts_with(expected), "{error}");
        let hint = error.hint_text().unwrap();
        assert!(hint.contains("docs/gpu.md"), "{hint}");
    }
}
