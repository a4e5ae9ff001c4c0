//! All cores over all sources. One thread at a time reads the next piece, every thread scans; the thread that scans a
//! file's last piece puts the file together. Only pieces that are being scanned are in memory, and what was found.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use codex_plugin_api::{Error, HostRef, Result, Stage};
use codex_redaction::Sanitizers;

use super::columns;
use super::piece::{self, Scanned};
use super::reader::{Piece, Pieces};
use super::settings::FileFormat;
use super::sources::Source;

/// What became of a source.
#[derive(Debug)]
pub(super) enum Seen {
    /// It was scanned.
    Scanned(Scanned),
    /// It is no text.
    Binary,
    /// It could not be read.
    Unreadable(String),
}

/// Whom to ask, and for which stage.
pub(super) struct Scan<'a> {
    pub(super) sanitizers: &'a Sanitizers,
    pub(super) stage: Stage,
    pub(super) host: &'a HostRef,
}

impl Scan<'_> {
    /// How far a finding and what it depends on can reach: what it overlaps, and the context of both.
    pub(super) fn margin(&self) -> usize {
        2 * self.sanitizers.max_span() + 1024
    }

    /// Scans everything; the results are in the sources' order.
    ///
    /// # Errors
    /// When a sanitizer fails, or the user stops it.
    pub(super) fn run(&self, sources: &[Source]) -> Result<Vec<Seen>> {
        let queue = Mutex::new(Queue {
            waiting: (0..sources.len()).collect(),
            reading: None,
        });
        let desk = Desk {
            files: Mutex::new(sources.iter().map(|_| File::default()).collect()),
            failure: Mutex::new(None),
            done: AtomicU64::new(0),
            total: sources.iter().map(|source| source.size).sum(),
        };
        let threads = self.host.threads().clamp(1, 256);
        thread::scope(|scope| {
            for _ in 1..threads {
                scope.spawn(|| self.work(sources, &queue, &desk));
            }
            self.work(sources, &queue, &desk);
        });
        if let Some(error) = lock(&desk.failure).take() {
            return Err(error);
        }
        let files = std::mem::take(&mut *lock(&desk.files));
        Ok(files
            .into_iter()
            .map(|file| {
                let lost = || Seen::Unreadable("it was not scanned to its end".to_owned());
                file.seen.unwrap_or_else(lost)
            })
            .collect())
    }

    fn work(&self, sources: &[Source], queue: &Mutex<Queue>, desk: &Desk) {
        while lock(&desk.failure).is_none() {
            let job = if self.host.interrupted() {
                Err(Error::interrupted())
            } else {
                Ok(self.next(sources, queue))
            };
            let step = job.and_then(|job| match job {
                Some(job) => self.do_job(job, sources, desk).map(|()| true),
                None => Ok(false),
            });
            match step {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    lock(&desk.failure).get_or_insert(error);
                    return;
                }
            }
            let done = desk.done.load(Ordering::Relaxed);
            // A file may grow while it is read; of a stream the end is not known.
            let most = if desk.total == 0 { done } else { desk.total };
            self.host.progress("scanning", done.min(most), desk.total);
        }
    }

    /// The next piece of work; nothing when all was handed out.
    fn next(&self, sources: &[Source], queue: &Mutex<Queue>) -> Option<Job> {
        let mut queue = lock(queue);
        loop {
            if let Some((file, pieces)) = &mut queue.reading {
                let file = *file;
                match pieces.next() {
                    Ok(Some(piece)) => return Some(Job::Piece(file, piece)),
                    Ok(None) => queue.reading = None,
                    Err(error) => {
                        queue.reading = None;
                        return Some(Job::Known(file, Seen::Unreadable(error.to_string())));
                    }
                }
                continue;
            }
            let file = queue.waiting.pop_front()?;
            let source = &sources[file];
            let FileFormat::Text(format) = source.format else {
                return Some(Job::Table(file));
            };
            let opened = source.open().and_then(|input| {
                let mut pieces = Pieces::new(input, format, self.margin());
                let binary = pieces.is_binary()?;
                Ok((!binary).then_some(pieces))
            });
            match opened {
                Ok(Some(pieces)) => queue.reading = Some((file, pieces)),
                Ok(None) => return Some(Job::Known(file, Seen::Binary)),
                Err(error) => {
                    return Some(Job::Known(file, Seen::Unreadable(error.to_string())));
                }
            }
        }
    }

    fn do_job(&self, job: Job, sources: &[Source], desk: &Desk) -> Result<()> {
        match job {
            Job::Known(file, seen) => {
                desk.done.fetch_add(sources[file].size, Ordering::Relaxed);
                lock(&desk.files)[file].seen = Some(seen);
            }
            Job::Table(file) => {
                let source = &sources[file];
                let seen = match source.open_whole() {
                    Ok(content) => columns::scan(content, &source.name, self)?,
                    Err(error) => Seen::Unreadable(error.to_string()),
                };
                desk.done.fetch_add(source.size, Ordering::Relaxed);
                lock(&desk.files)[file].seen = Some(seen);
            }
            Job::Piece(file, piece) => {
                let name = &sources[file].name;
                let (number, last) = (piece.number, piece.last);
                let note = (FileFormat::Text(piece.format) != sources[file].format && last)
                    .then_some(
                        "a record is too large for its format, so the rest is read as plain text",
                    );
                desk.done
                    .fetch_add(piece.region.len() as u64, Ordering::Relaxed);
                let mut scanned = piece::scan(piece, self.sanitizers, self.stage, name)?;
                scanned.notes.extend(note.map(str::to_owned));
                let mut files = lock(&desk.files);
                let file = &mut files[file];
                file.pieces.insert(number, scanned);
                if last {
                    file.count = Some(number + 1);
                }
                if file.count == Some(file.pieces.len()) && file.seen.is_none() {
                    let pieces = std::mem::take(&mut file.pieces);
                    file.seen = Some(Seen::Scanned(piece::join(pieces.into_values())));
                }
            }
        }
        Ok(())
    }
}

enum Job {
    Piece(usize, Piece),
    Table(usize),
    Known(usize, Seen),
}

struct Queue {
    waiting: VecDeque<usize>,
    reading: Option<(usize, Pieces)>,
}

#[derive(Default)]
struct File {
    pieces: BTreeMap<usize, Scanned>,
    /// How many pieces there are, once the last was seen.
    count: Option<usize>,
    seen: Option<Seen>,
}

struct Desk {
    files: Mutex<Vec<File>>,
    failure: Mutex<Option<Error>>,
    done: AtomicU64,
    total: u64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
