//! The file that a run is recorded in, compressed with zstd: written by a thread of its own while the run goes on.
//!
//! A run is recorded in parts, each of which is a zstd frame: frames that follow each other are one zstd stream. Parts come
//! at the same time and have to stand one after the other. So a part waits in memory until it is over, which most are before
//! they are large. The first that becomes large is written straight into the file; others that do meanwhile go to files of
//! their own, and are moved behind it; so do those that are over meanwhile, when more of them wait than a few MiB.
//!
//! Whoever records never waits for the disk, since that would be taken for a latency of the server. What is on its way has a
//! bound: where the disk is slower than that, [`PartFeed::offer`] refuses, and the part is cut there. Where the file cannot
//! be written, the recording ends and the run goes on. Both are told at once, see [`Recording::notice`]. The report is worth
//! more than the recording: room for it is taken before, and given back when the recording is closed.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use zstd::stream::write::Encoder;

/// A fast level; traces repeat themselves so much that higher ones gain little.
const LEVEL: i32 = 3;

/// How long pieces are that parts are handed over in, in bytes.
pub const PIECE_BYTES: usize = 64 << 10;

/// How many bytes of all parts may be on their way to the file: half a second of ten thousand messages a second, many times over.
const ON_THE_WAY_BYTES: usize = 32 << 20;

/// How many compressed bytes of a part wait in memory for its end.
const WAITING_BYTES: usize = 256 << 10;

/// How many compressed bytes of parts that are over wait in memory for the one that is written into the file.
const QUEUED_BYTES: usize = 4 << 20;

/// How many buffers are kept to be used again.
const SPARE: usize = 16;

/// How much room is kept free on the disk while a run is recorded, in bytes, so that its report has a place however full the
/// disk becomes: many times what a report takes.
const RESERVED_BYTES: usize = 8 << 20;

/// How long the end of a run waits while the file takes nothing.
const PATIENCE: Duration = Duration::from_secs(10);

/// A recording under way. Dropping it leaves it as it is, without its end.
#[derive(Debug)]
pub struct Recording {
    feed: Feed,
    notices: UnboundedReceiver<String>,
    /// Takes the room that the report will need.
    reserve: Option<File>,
}

/// Where what is recorded is handed over. Copies lead to the same file.
#[derive(Debug, Clone)]
pub struct Feed {
    orders: Sender<Order>,
    shared: Arc<Shared>,
}

/// Where one part is handed over. It is [`PartFeed::end`]ed, or else the file lacks its end.
#[derive(Debug)]
pub struct PartFeed {
    feed: Feed,
    number: u32,
}

/// What both sides look at.
#[derive(Debug)]
struct Shared {
    /// The name of the file, for people.
    name: String,
    notices: UnboundedSender<String>,
    parts: AtomicU32,
    on_the_way: AtomicUsize,
    /// Whether nothing is written any more.
    has_failed: AtomicBool,
    /// How many pieces were written, so that a disk that is slow can be told from one that hangs.
    done: AtomicU64,
    spare: Mutex<Vec<Vec<u8>>>,
}

#[derive(Debug)]
enum Order {
    /// Lines that belong to no part: a frame of their own.
    Lines(Vec<u8>),
    Piece(u32, Vec<u8>),
    /// The last lines of a part.
    End(u32, Vec<u8>),
    Close(Sender<()>),
}

impl Recording {
    /// Creates the file in the folder.
    ///
    /// # Errors
    /// If it cannot be created, or the system gives no thread.
    pub fn create(folder: &Path, name: &str) -> io::Result<Self> {
        let path = folder.join(name);
        let reserve = reserved(&path);
        Ok(Self { reserve, ..Self::into(File::create(&path)?, path, name)? })
    }

    fn into(file: impl Write + Send + 'static, path: PathBuf, name: &str) -> io::Result<Self> {
        let (told, notices) = unbounded_channel();
        let shared = Arc::new(Shared {
            name: name.to_owned(),
            notices: told,
            parts: AtomicU32::new(0),
            on_the_way: AtomicUsize::new(0),
            has_failed: AtomicBool::new(false),
            done: AtomicU64::new(0),
            spare: Mutex::default(),
        });
        let (orders, taken) = channel();
        let writer = Writer {
            file: Box::new(file),
            path,
            shared: Arc::clone(&shared),
            parts: BTreeMap::new(),
            direct: None,
            waiting: VecDeque::new(),
        };
        thread::Builder::new().name("recording".to_owned()).spawn(move || writer.run(&taken))?;
        Ok(Self { feed: Feed { orders, shared }, notices, reserve: None })
    }

    /// Where what is recorded is handed over.
    pub const fn feed(&self) -> &Feed {
        &self.feed
    }

    /// Waits for the next thing that goes wrong with the recording, in words; for ever if nothing does.
    pub async fn notice(&mut self) -> String {
        // There is always a sender: `feed` has one.
        self.notices.recv().await.unwrap_or_default()
    }

    /// What went wrong and was not waited for.
    pub fn notices(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.notices.try_recv().ok()).collect()
    }

    /// Waits until everything is written, as long as the file takes something. Then the report has room.
    pub fn close(&mut self) {
        self.close_within(PATIENCE);
        self.reserve = None;
    }

    fn close_within(&mut self, patience: Duration) {
        let (tell, told) = channel();
        self.feed.order(Order::Close(tell));
        let mut done = self.feed.shared.done.load(Ordering::Acquire);
        while told.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
            let now = self.feed.shared.done.load(Ordering::Acquire);
            if now == done {
                return self.feed.shared.fail(&format!("it has taken nothing for {} s", patience.as_secs()));
            }
            done = now;
        }
    }
}

impl Feed {
    /// Hands lines over that belong to no part.
    pub fn lines(&self, lines: Vec<u8>) {
        self.shared.on_the_way.fetch_add(lines.len(), Ordering::AcqRel);
        self.order(Order::Lines(lines));
    }

    /// Begins a part.
    pub fn part(&self) -> PartFeed {
        PartFeed { feed: self.clone(), number: self.shared.parts.fetch_add(1, Ordering::AcqRel) }
    }

    fn order(&self, order: Order) {
        // If the thread is gone, nothing can be written any more, and that was told when it ended.
        let _ = self.orders.send(order);
    }
}

impl PartFeed {
    /// Whether nothing is written any more.
    pub fn has_failed(&self) -> bool {
        self.feed.shared.has_failed.load(Ordering::Relaxed)
    }

    /// Hands whole lines over and leaves an empty buffer in their place. False if too much is on its way; the lines stay.
    pub fn offer(&self, lines: &mut Vec<u8>) -> bool {
        let shared = &self.feed.shared;
        if shared.on_the_way.load(Ordering::Acquire) > ON_THE_WAY_BYTES {
            return false;
        }
        shared.on_the_way.fetch_add(lines.len(), Ordering::AcqRel);
        let spare = shared.spare().pop().unwrap_or_else(|| Vec::with_capacity(PIECE_BYTES + PIECE_BYTES / 4));
        self.feed.order(Order::Piece(self.number, std::mem::replace(lines, spare)));
        true
    }

    /// Ends the part with these lines.
    pub fn end(self, lines: Vec<u8>) {
        self.feed.shared.on_the_way.fetch_add(lines.len(), Ordering::AcqRel);
        self.feed.order(Order::End(self.number, lines));
    }

    /// Tells what went wrong with this part.
    pub fn tell(&self, what: String) {
        self.feed.shared.tell(what);
    }
}

impl Shared {
    fn spare(&self) -> std::sync::MutexGuard<'_, Vec<Vec<u8>>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, what: String) {
        // Nobody listens only if the run is over.
        let _ = self.notices.send(what);
    }

    fn fail(&self, why: &str) {
        if !self.has_failed.swap(true, Ordering::AcqRel) {
            self.tell(format!("the recording is not whole: failed to write {}: {why}", self.name));
        }
    }

    /// These bytes are on their way no more.
    fn arrived(&self, mut lines: Vec<u8>) {
        self.on_the_way.fetch_sub(lines.len(), Ordering::AcqRel);
        self.done.fetch_add(1, Ordering::AcqRel);
        let mut spare = self.spare();
        if spare.len() < SPARE && (PIECE_BYTES..4 * PIECE_BYTES).contains(&lines.capacity()) {
            lines.clear();
            spare.push(lines);
        }
    }
}

/// The thread that writes.
struct Writer {
    file: Box<dyn Write + Send>,
    path: PathBuf,
    shared: Arc<Shared>,
    /// Parts that are not over.
    parts: BTreeMap<u32, Part>,
    /// The part that is written straight into the file.
    direct: Option<u32>,
    /// What is over and waits for that one to end.
    waiting: VecDeque<Whole>,
}

/// A part that is not over.
struct Part {
    /// With what is compressed and not written.
    encoder: Encoder<'static, Vec<u8>>,
    /// What was written of it beside the file.
    aside: Option<File>,
}

/// A frame that is whole: what stands beside the file, and the rest.
struct Whole {
    aside: Option<File>,
    rest: Vec<u8>,
}

impl Writer {
    fn run(mut self, orders: &Receiver<Order>) {
        while let Ok(order) = orders.recv() {
            let (written, lines) = match order {
                Order::Lines(lines) => (self.take_lines(&lines), lines),
                Order::Piece(part, lines) => (self.take_piece(part, &lines), lines),
                Order::End(part, lines) => (self.take_end(part, &lines), lines),
                Order::Close(tell) => {
                    let closed = self.close();
                    self.note(closed);
                    // Nobody listens only if it was waited for in vain.
                    let _ = tell.send(());
                    return;
                }
            };
            self.note(written);
            self.shared.arrived(lines);
        }
    }

    /// After a failure nothing is written any more, so that the file ends where it failed.
    fn note(&mut self, written: io::Result<()>) {
        if let Err(error) = written {
            self.shared.fail(&error.to_string());
            self.parts.clear();
            self.waiting.clear();
        }
    }

    fn has_failed(&self) -> bool {
        self.shared.has_failed.load(Ordering::Acquire)
    }

    fn take_lines(&mut self, lines: &[u8]) -> io::Result<()> {
        if self.has_failed() {
            return Ok(());
        }
        let mut encoder = encoder()?;
        encoder.write_all(lines)?;
        let rest = encoder.finish()?;
        self.append_or_wait(Whole { aside: None, rest })
    }

    fn take_piece(&mut self, number: u32, lines: &[u8]) -> io::Result<()> {
        if self.has_failed() {
            return Ok(());
        }
        let part = match self.parts.entry(number) {
            std::collections::btree_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::btree_map::Entry::Vacant(new) => new.insert(Part { encoder: encoder()?, aside: None }),
        };
        part.encoder.write_all(lines)?;
        let compressed = part.encoder.get_mut();
        if self.direct.is_none() && compressed.len() > WAITING_BYTES {
            self.direct = Some(number);
        }
        if self.direct == Some(number) {
            self.file.write_all(compressed)?;
            compressed.clear();
        } else if part.aside.is_some() || compressed.len() > WAITING_BYTES {
            let mut aside = match part.aside.take() {
                Some(aside) => aside,
                None => beside(&self.path, number)?,
            };
            aside.write_all(compressed)?;
            compressed.clear();
            part.aside = Some(aside);
        }
        Ok(())
    }

    fn take_end(&mut self, number: u32, lines: &[u8]) -> io::Result<()> {
        self.take_piece(number, lines)?;
        let Some(part) = self.parts.remove(&number) else { return Ok(()) };
        let rest = part.encoder.finish()?;
        if self.direct != Some(number) {
            return self.append_or_wait(Whole { aside: part.aside, rest });
        }
        self.file.write_all(&rest)?;
        self.direct = None;
        while let Some(whole) = self.waiting.pop_front() {
            self.append(whole)?;
        }
        // Of those that are large, one goes on in the file.
        if let Some((number, part)) = self.parts.iter_mut().find(|(_, part)| part.aside.is_some()) {
            let (number, aside) = (*number, part.aside.take());
            self.direct = Some(number);
            self.append(Whole { aside, rest: Vec::new() })?;
        }
        Ok(())
    }

    fn append_or_wait(&mut self, whole: Whole) -> io::Result<()> {
        if self.direct.is_some() { self.wait(whole) } else { self.append(whole) }
    }

    /// What waits behind a file waits in that file, since frames that follow each other are one stream. Where too much waits in
    /// memory, such a file is begun.
    fn wait(&mut self, mut whole: Whole) -> io::Result<()> {
        if let (None, Some(Whole { aside: Some(aside), rest })) = (&whole.aside, self.waiting.back_mut()) {
            aside.write_all(rest)?;
            rest.clear();
            return aside.write_all(&whole.rest);
        }
        let queued: usize = self.waiting.iter().map(|whole| whole.rest.len()).sum();
        if queued + whole.rest.len() > QUEUED_BYTES {
            let mut aside = match whole.aside.take() {
                Some(aside) => aside,
                // A number that no part has.
                None => beside(&self.path, self.shared.parts.fetch_add(1, Ordering::AcqRel))?,
            };
            aside.write_all(&whole.rest)?;
            whole = Whole { aside: Some(aside), rest: Vec::new() };
        }
        self.waiting.push_back(whole);
        Ok(())
    }

    fn append(&mut self, whole: Whole) -> io::Result<()> {
        if let Some(mut aside) = whole.aside {
            aside.seek(SeekFrom::Start(0))?;
            let mut buffer = vec![0; WAITING_BYTES];
            loop {
                let length = aside.read(&mut buffer)?;
                if length == 0 {
                    break;
                }
                self.file.write_all(&buffer[..length])?;
                self.shared.done.fetch_add(1, Ordering::AcqRel);
            }
        }
        self.file.write_all(&whole.rest)
    }

    /// A part that was never ended, because what recorded it failed, is there as far as it came.
    fn close(&mut self) -> io::Result<()> {
        let unended =
            self.direct.into_iter().chain(self.parts.keys().copied().filter(|part| self.direct != Some(*part)));
        for number in unended.collect::<Vec<_>>() {
            self.take_end(number, &[])?;
        }
        self.file.flush()
    }
}

/// A file that takes the room of the report, or less where there is not twice as much: the disk may be nearly full already,
/// and what is recorded is to find as much room as is kept from it.
fn reserved(path: &Path) -> Option<File> {
    // A number that no part has.
    let mut file = beside(path, u32::MAX).ok()?;
    let free = room(&mut file, 2 * RESERVED_BYTES);
    file.set_len(free / 2).ok()?;
    Some(file)
}

/// How many bytes there is room for, up to so many, found out by writing them: what a file system tells of itself leaves out
/// what this user may have. Noise, since some keep no room for what can be compressed.
fn room(file: &mut impl Write, most: usize) -> u64 {
    let mut state = 1_u64;
    let mut noise = Vec::with_capacity(PIECE_BYTES);
    let mut written = 0;
    for _ in 0..most / PIECE_BYTES {
        noise.clear();
        while noise.len() < PIECE_BYTES {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            noise.extend_from_slice(&state.to_le_bytes());
        }
        let mut left = noise.as_slice();
        while let Ok(length @ 1..) = file.write(left) {
            written += length as u64;
            left = left.get(length..).unwrap_or_default();
        }
        if !left.is_empty() {
            break;
        }
    }
    written
}

/// A file for a part that has to wait. It is gone when it is closed, where the system can do that.
fn beside(path: &Path, part: u32) -> io::Result<File> {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".part-{part}"));
    let file = File::options().read(true).write(true).create(true).truncate(true).open(&name)?;
    // Where it cannot be removed while it is open, it is left behind.
    let _ = fs::remove_file(&name);
    Ok(file)
}

fn encoder() -> io::Result<Encoder<'static, Vec<u8>>> {
    let mut encoder = Encoder::new(Vec::new(), LEVEL)?;
    encoder.include_checksum(true)?;
    Ok(encoder)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::SyncSender;

    use super::*;

    /// How long something may take that does not take long.
    const LIMIT: Duration = Duration::from_secs(60);

    fn read(folder: &Path) -> String {
        let bytes = fs::read(folder.join("t.zst")).unwrap();
        String::from_utf8(zstd::decode_all(&bytes[..]).unwrap()).unwrap()
    }

    /// Text that cannot be compressed well, in lines that begin with `name`.
    fn noise(name: &str, bytes: usize) -> Vec<u8> {
        let mut lines = Vec::new();
        let mut state =
            name.bytes().fold(0x9E37_79B9_7F4A_7C15_u64, |state, byte| (state ^ u64::from(byte)).wrapping_mul(31));
        while lines.len() < bytes {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            lines.extend_from_slice(format!("{name} {state:016x}\n").as_bytes());
        }
        lines
    }

    /// Which parts the lines are of, in their order, each change once.
    fn order(text: &str) -> Vec<&str> {
        let mut names: Vec<&str> = text.lines().map(|line| line.split(' ').next().unwrap()).collect();
        names.dedup();
        names
    }

    #[test]
    fn parts_that_come_at_the_same_time_stand_one_after_the_other() {
        let root = tempfile::tempdir().unwrap();
        let mut recording = Recording::create(root.path(), "t.zst").unwrap();
        let feed = recording.feed().clone();
        feed.lines(b"head\n".to_vec());
        let [large, other, small] = [(); 3].map(|()| feed.part());
        let mut expected = Vec::new();
        for round in 0..80 {
            for (name, part) in [("large", &large), ("other", &other)] {
                let mut lines = noise(&format!("{name} {round}"), PIECE_BYTES);
                expected.push(lines.clone());
                while !part.offer(&mut lines) {}
                assert!(lines.is_empty());
            }
        }
        assert!(fs::metadata(root.path().join("t.zst")).is_ok());
        small.end(b"small 1\n".to_vec());
        feed.lines(b"line\n".to_vec());
        large.end(b"large end\n".to_vec());
        let mut lines = b"other more\n".to_vec();
        assert!(other.offer(&mut lines));
        other.end(b"other end\n".to_vec());
        feed.lines(b"last\n".to_vec());
        recording.close();
        assert_eq!(recording.notices(), [""; 0]);
        let text = read(root.path());
        assert_eq!(order(&text), ["head", "large", "small", "line", "other", "last"]);
        for name in ["large", "other"] {
            let of =
                |text: &str| text.lines().filter(|line| line.starts_with(name)).map(str::to_owned).collect::<Vec<_>>();
            let mut wanted = of(&String::from_utf8(expected.concat()).unwrap());
            wanted.extend(
                ["more", "end"]
                    .iter()
                    .filter(|word| name == "other" || **word == "end")
                    .map(|word| format!("{name} {word}")),
            );
            assert!(of(&text) == wanted, "{name}");
        }
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1, "nothing is left beside the file");
    }

    #[test]
    fn many_parts_that_are_over_wait_beside_the_file_for_the_one_in_it() {
        let root = tempfile::tempdir().unwrap();
        let mut recording = Recording::create(root.path(), "t.zst").unwrap();
        let large = recording.feed().part();
        for round in 0..16 {
            assert!(large.offer(&mut noise(&format!("large {round}"), PIECE_BYTES)));
        }
        let names: Vec<String> = (0..60).map(|number| format!("part{number}")).collect();
        for name in &names {
            recording.feed().part().end(noise(name, 4 * PIECE_BYTES));
        }
        large.end(b"large end\n".to_vec());
        recording.close();
        assert_eq!(recording.notices(), [""; 0]);
        let text = read(root.path());
        let wanted: Vec<&str> = std::iter::once("large").chain(names.iter().map(String::as_str)).collect();
        assert_eq!(order(&text), wanted);
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1, "nothing is left beside the file");
    }

    #[test]
    fn a_part_that_is_not_ended_is_there_as_far_as_it_came() {
        let root = tempfile::tempdir().unwrap();
        let mut recording = Recording::create(root.path(), "t.zst").unwrap();
        let part = recording.feed().part();
        assert!(part.offer(&mut b"a\n".to_vec()));
        drop(part);
        recording.feed().lines(b"last\n".to_vec());
        recording.close();
        assert_eq!(order(&read(root.path())), ["last", "a"]);
    }

    /// A disk that takes nothing until it is told to.
    struct Hung(Receiver<()>);

    impl Write for Hung {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // An error means that it may go on for ever.
            let _ = self.0.recv();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn hung() -> (SyncSender<()>, Recording) {
        let (go_on, waits) = std::sync::mpsc::sync_channel(0);
        (go_on, Recording::into(Hung(waits), PathBuf::from("t.zst"), "t.zst").unwrap())
    }

    #[test]
    fn what_is_on_its_way_to_a_disk_that_hangs_is_bounded_and_nobody_waits() {
        let (go_on, mut recording) = hung();
        recording.feed().lines(b"head\n".to_vec());
        let part = recording.feed().part();
        let piece = noise("a", PIECE_BYTES);
        let mut handed_over = 0;
        let kept = loop {
            let mut lines = piece.clone();
            if !part.offer(&mut lines) {
                break lines;
            }
            handed_over += piece.len();
            assert!(handed_over < 2 * ON_THE_WAY_BYTES);
        };
        assert!(handed_over >= ON_THE_WAY_BYTES - PIECE_BYTES);
        assert!(kept == piece, "what is refused stays where it was");
        drop(go_on);
        part.end(kept);
        recording.close();
        assert!(recording.feed().part().offer(&mut piece.clone()), "the disk has taken what was on its way");
        assert_eq!(recording.notices(), [""; 0]);
    }

    #[test]
    fn a_disk_that_hangs_is_not_waited_for_at_the_end() {
        let (_go_on, mut recording) = hung();
        recording.feed().lines(b"head\n".to_vec());
        recording.close_within(Duration::from_millis(20));
        let [told] = recording.notices().try_into().unwrap();
        assert!(told.contains("not whole") && told.contains("it has taken nothing for"), "{told}");
        assert!(!told.contains("goes on"), "{told}");
    }

    #[test]
    fn of_a_disk_that_is_nearly_full_the_recording_has_as_much_as_the_report() {
        /// A disk with so much room.
        struct Disk(usize);
        impl Write for Disk {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                let length = bytes.len().min(self.0).min(1000);
                self.0 -= length;
                if length == 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(length) }
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let of = |free| room(&mut Disk(free), 2 * RESERVED_BYTES) / 2;
        assert_eq!([0, 600_000, RESERVED_BYTES].map(of), [0, 300_000, RESERVED_BYTES as u64 / 2]);
        assert_eq!(of(usize::MAX), RESERVED_BYTES as u64);
    }

    #[test]
    fn the_room_of_the_report_is_kept_while_a_run_is_recorded_and_given_back_at_its_end() {
        let root = tempfile::tempdir().unwrap();
        let mut recording = Recording::create(root.path(), "t.zst").unwrap();
        let kept = recording.reserve.as_ref().and_then(|file| file.metadata().ok()).map(|file| file.len());
        assert_eq!(kept, Some(RESERVED_BYTES as u64));
        recording.feed().lines(b"head\n".to_vec());
        recording.close();
        assert!(recording.reserve.is_none());
        let left: Vec<_> = fs::read_dir(root.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["t.zst"]);
    }

    #[test]
    fn buffers_are_used_again() {
        let (go_on, mut recording) = hung();
        drop(go_on);
        let part = recording.feed().part();
        let mut lines = Vec::with_capacity(PIECE_BYTES);
        let first = lines.as_ptr();
        lines.extend_from_slice(b"a\n");
        assert!(part.offer(&mut lines));
        recording.close();
        let spare = recording.feed().shared.spare().pop().unwrap();
        assert_eq!(spare.as_ptr(), first);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_told_of_at_once_and_ends_the_recording_only() {
        let root = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/dev/full", root.path().join("t.zst")).unwrap();
        let mut recording = Recording::create(root.path(), "t.zst").unwrap();
        recording.feed().lines(b"head\n".to_vec());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let told = runtime.block_on(async { tokio::time::timeout(LIMIT, recording.notice()).await.unwrap() });
        assert!(told.starts_with("the recording is not whole: failed to write t.zst: No space left"), "{told}");
        let part = recording.feed().part();
        assert!(part.has_failed());
        for _ in 0..2 {
            assert!(part.offer(&mut noise("a", 3 * WAITING_BYTES)), "what is offered goes nowhere");
        }
        part.end(Vec::new());
        recording.close();
        assert_eq!(recording.notices(), [""; 0], "it is told once");
    }
}
