//! A tracker, a sanitizer, an adapter and a command, each a few lines.

use codex_plugin_api::{
    Adapter, AdapterPlan, Arguments, Command, Error, Finding, HostRef, Init, Operation, Result,
    Rule, RunInfo, Sanitizer, Severity, Site, SiteOperation, Stage, Texts, Tracker, serde_json,
};

use super::{Fault, fresh, main_thread};

/// Counts lines.
#[derive(Default)]
pub(crate) struct Lines {
    pub(crate) fault: Fault,
    run: Option<RunInfo>,
    seen: usize,
}

impl Lines {
    pub(crate) fn new(fault: Fault) -> Self {
        Self {
            fault,
            ..Self::default()
        }
    }
}

impl Tracker for Lines {
    fn start(&mut self, run: &RunInfo) -> Result<()> {
        if run.resumed && self.fault.is("resuming") {
            return Err(Error::failed("it is there already"));
        }
        self.run = Some(run.clone());
        Ok(())
    }

    fn events(&mut self, ndjson: &str) -> Result<()> {
        if self.run.is_none() {
            return Err(Error::failed("no run was started"));
        }
        if ndjson.contains("run_finished") && self.fault.is("whole run") {
            return Err(Error::failed("an event that is not known"));
        }
        if ndjson.is_empty() && self.fault.is("batches") {
            return Err(Error::failed("no event"));
        }
        self.seen += ndjson.lines().count();
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        if self.seen == 0 && self.fault.is("no events") {
            return Err(Error::failed("nothing happened"));
        }
        Ok(())
    }
}

/// Finds every `4`, and in another rule every `č`.
#[derive(Default)]
pub(crate) struct Fours(pub(crate) Fault);

impl Sanitizer for Fours {
    fn rules(&self) -> Result<Vec<Rule>> {
        let rule = |id: &str| Rule {
            id: id.into(),
            entity: "digit".into(),
            severity: Severity::Low,
            description: "one character".into(),
        };
        let second = if self.0.is("rules") { "four" } else { "hook" };
        Ok(vec![rule("four"), rule(second)])
    }

    fn max_span(&self) -> u32 {
        2
    }

    fn scan(&self, texts: Texts<'_>, stage: Stage) -> Result<Vec<Finding>> {
        let mut findings = Vec::new();
        for (index, text) in texts.iter().enumerate() {
            let skip =
                (self.0.is("neighbours") && index > 0) || (self.0.is("threads") && !main_thread());
            for (at, c) in text.char_indices().filter(|_| !skip) {
                if c == '4' || c == 'č' {
                    let past = if self.0.is("spans") { 50 } else { 0 };
                    findings.push(Finding {
                        start: at as u64,
                        end: (at + c.len_utf8() + past) as u64,
                        text: index as u32,
                        rule: u32::from(c == 'č'),
                        confidence: if stage == Stage::Log { 0.25 } else { 1.0 },
                    });
                }
            }
        }
        Ok(findings)
    }
}

/// Shifts the output of every site called `…proj` by given values.
#[derive(Default)]
pub(crate) struct Shift(pub(crate) Fault);

impl Adapter for Shift {
    fn plan(&self, sites: &[Site]) -> Result<AdapterPlan> {
        let wanted: Vec<&Site> = sites
            .iter()
            .filter(|site| site.name.ends_with("proj"))
            .collect();
        if wanted.is_empty() {
            assert!(
                !(sites.is_empty() && self.0.is("no sites")),
                "there must be a site"
            );
            let names: Vec<&str> = sites.iter().map(|site| site.name.as_str()).collect();
            let listed = if self.0.is("listing") {
                String::new()
            } else {
                names.join(", ")
            };
            return Err(Error::config("no site ends in proj").hint(format!("there are {listed}")));
        }
        let mut plan = AdapterPlan::default();
        for site in wanted {
            let offset = plan.values.len() as u64;
            plan.values.extend(vec![0.5; site.outputs as usize]);
            let length = site.outputs + u64::from(self.0.is("values"));
            plan.operations.push(SiteOperation {
                site: site.name.clone(),
                operation: Operation::Bias {
                    start: Init::Values { offset, length },
                    train: true,
                },
            });
        }
        if self.0.is("sites") {
            plan.operations[0].site = "elsewhere".into();
        }
        if self.0.is("equal plans") {
            plan.saved_config = fresh().into();
        }
        Ok(plan)
    }
}

/// Prints its arguments.
#[derive(Default)]
pub(crate) struct Echo(pub(crate) Fault);

impl Command for Echo {
    fn run(&mut self, arguments: &Arguments, host: &HostRef) -> Result<i32> {
        if host.interrupted() {
            return Err(if self.0.is("interruption") {
                Error::failed("stopped")
            } else {
                Error::interrupted()
            });
        }
        let json = serde_json::to_string(&arguments.0).unwrap();
        host.print(&json)?;
        if self.0.is("agreement") {
            host.print(&fresh().to_string())?;
        }
        if self.0.is("bare host") {
            assert!(host.threads() > 1, "too few threads");
        }
        Ok(if self.0.is("exit code") { 300 } else { 7 })
    }
}
