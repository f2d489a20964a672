//! Which task runs next, by the seed.
//!
//! tokio's single thread polls woken tasks in the order they were woken. A future wrapped in [`Interleaved`] gives
//! up its turn now and then and goes to the back of the queue, for a few rounds, so others overtake it. Each seed
//! also chooses how often: some runs are almost fair, some are wild.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// The longest that one poll is put off, in rounds of the queue.
const ROUNDS_MAX: u32 = 4;

/// Draws the delays. Clones share one source.
#[derive(Debug, Clone)]
pub(super) struct Schedule(Arc<Mutex<Draw>>);

#[derive(Debug)]
struct Draw {
    random: SmallRng,
    /// How many polls of a hundred are put off.
    percent: u32,
}

impl Schedule {
    pub(super) fn new(seed: u64) -> Self {
        let mut random = SmallRng::seed_from_u64(seed);
        let percent = [0, 5, 25, 60][random.random_range(0..4)];
        Self(Arc::new(Mutex::new(Draw { random, percent })))
    }

    /// For how many rounds the next poll is put off; mostly 0.
    pub(super) fn delay(&self) -> u32 {
        let mut draw = self.draw();
        let percent = draw.percent;
        if draw.random.random_range(0..100) < percent { draw.random.random_range(1..=ROUNDS_MAX) } else { 0 }
    }

    fn draw(&self) -> MutexGuard<'_, Draw> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A future whose polls are put off as the schedule says.
pub(super) struct Interleaved<F> {
    future: Pin<Box<F>>,
    schedule: Schedule,
    /// Rounds still to wait before the poll that was asked for; `None` until the next one asks.
    waiting: Option<u32>,
}

impl<F: Future> Interleaved<F> {
    pub(super) fn new(future: F, schedule: Schedule) -> Self {
        Self { future: Box::pin(future), schedule, waiting: None }
    }
}

impl<F: Future> Future for Interleaved<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let rounds = match self.waiting {
            Some(rounds) => rounds,
            None => self.schedule.delay(),
        };
        if rounds > 0 {
            self.waiting = Some(rounds - 1);
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.waiting = None;
        self.future.as_mut().poll(context)
    }
}

/// Gives up the turn so many times.
pub(super) async fn yield_times(rounds: u32) {
    for _ in 0..rounds {
        tokio::task::yield_now().await;
    }
}
