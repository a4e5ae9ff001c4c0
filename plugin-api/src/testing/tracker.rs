//! What every tracker promises.

use super::folder::Folder;
use super::report::Report;
use crate::{Result, RunInfo, Tracker};

/// Lines as a run writes them, the last of a kind that no tracker knows.
const EVENTS: &str = concat!(
    r#"{"event":"run_started","time":"2026-01-01T00:00:00Z","name":"check","seed":1,"config":"0"}"#,
    "\n",
    r#"{"event":"step","time":"2026-01-01T00:00:01Z","step":1,"loss":2.5,"learning_rate":0.001,"grad_norm":1.0,"tokens":512,"tokens_per_second":900.0}"#,
    "\n",
    r#"{"event":"evaluation","time":"2026-01-01T00:00:02Z","step":1,"split":"validation","metrics":{"loss":2.4,"perplexity":null}}"#,
    "\n",
    r#"{"event":"of-a-later-version","time":"2026-01-01T00:00:03Z","list":[1,{"deep":true}],"text":"č"}"#,
    "\n",
);

const LAST: &str = concat!(
    r#"{"event":"run_finished","time":"2026-01-01T00:00:04Z","status":"finished","steps":1,"model":null}"#,
    "\n",
);

fn run(folder: &Folder, resumed: bool) -> Result<RunInfo> {
    Ok(RunInfo {
        name: "check".to_owned(),
        folder: folder.path()?.to_owned(),
        resumed,
        config: serde_json::json!({"seed": 1, "training": {"steps": 1}}),
    })
}

/// Checks what `create` creates.
pub fn tracker(create: &mut dyn FnMut() -> Result<Box<dyn Tracker>>) -> Report {
    let mut report = Report::default();
    report.check("a run is followed from start to finish", || {
        let folder = Folder::new()?;
        let mut tracker = create()?;
        tracker.start(&run(&folder, false)?)?;
        tracker.events(EVENTS)?;
        tracker.events(LAST)?;
        tracker.finish()
    });
    report.check("events may come in any batches", || {
        let folder = Folder::new()?;
        let mut tracker = create()?;
        tracker.start(&run(&folder, false)?)?;
        tracker.events("")?;
        for line in EVENTS.split_inclusive('\n') {
            tracker.events(line)?;
        }
        tracker.finish()
    });
    report.check("a run that was taken up again is followed", || {
        let folder = Folder::new()?;
        for resumed in [false, true] {
            let mut tracker = create()?;
            tracker.start(&run(&folder, resumed)?)?;
            tracker.events(EVENTS)?;
            tracker.finish()?;
        }
        Ok(())
    });
    report.check("a run without events is no error", || {
        let folder = Folder::new()?;
        let mut tracker = create()?;
        tracker.start(&run(&folder, false)?)?;
        tracker.finish()
    });
    report
}
