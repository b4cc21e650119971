//! The phases of a run: warm-up, search, the measured phase with what is read around it.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::Error;
use crate::aged::{Age, Aged};
use crate::args::{AGED_FROM, Args, Preset};
use crate::arrivals::{Pace, Stairs};
use crate::certificate::Probe;
use crate::control::Client;
use crate::counters::Counters;
use crate::generator::{Generator, Phase};
use crate::overload::FACTORS;
use crate::progress::{bar, progress, watched};
use crate::sampler::{self, Sample};
use crate::search::{Search, probe};
use crate::server::Server;
use crate::stage::Stage;
use crate::tally::Tally;
use crate::trade::Trade;
use crate::world::Mix;

/// Warm-up is no faster than this in flash and before a search.
const GENTLE: f64 = 2_000.0;
/// Filling a store takes no longer than this.
const FILL_LIMIT: Duration = Duration::from_hours(6);
/// A server that refused everything is asked so often, ten times a second.
const FILL_TRIES: u32 = 50;

/// What is not published so long after the last answer is waited for no longer.
const PUBLISH_LIMIT: Duration = Duration::from_mins(1);

/// The measured phase and what was read around it.
pub(crate) struct Measured {
    pub(crate) tally: Tally,
    pub(crate) rate: f64,
    pub(crate) length: Duration,
    pub(crate) before: Counters,
    pub(crate) after: Counters,
    /// Read when everything was published, so many seconds later; or when that took too long.
    pub(crate) published: Counters,
    pub(crate) published_s: f64,
    pub(crate) samples: Vec<Sample>,
    pub(crate) server_cpu_us: Option<f64>,
    pub(crate) peak_mb: Option<f64>,
}

/// A trade on its way through the phases of a run.
pub(crate) struct Load<'a, T: Trade> {
    args: &'a Args,
    stage: &'a Stage,
    generator: Generator<T>,
    pub(crate) probes: Vec<Probe>,
}

impl<'a, T: Trade> Load<'a, T> {
    pub(crate) fn new(args: &'a Args, stage: &'a Stage, trade: T) -> Result<Self, Error> {
        let generator = Generator::new(trade, stage.address.socket, args.connections)
            .map_err(Error::io("generating load"))?;
        Ok(Self { args, stage, generator, probes: Vec::new() })
    }

    pub(crate) fn into_trade(self) -> T {
        self.generator.into_trade()
    }

    /// The measured phase without its pace.
    fn phase(&self) -> Phase {
        let scarce = matches!(self.args.preset, Preset::Flash | Preset::Coupons);
        let mix = if scarce { Mix::Only(0) } else { Mix::Spread };
        Phase { pace: Pace::Even(1.0), length: self.args.length(), mix, seed: self.args.seed }
    }

    /// Warm-up, then the given rate, or the highest one that holds.
    pub(crate) fn steady(&mut self) -> Result<Measured, Error> {
        self.warm_up()?;
        match self.args.fixed_rate() {
            Some(rate) => self.held(rate),
            None => self.highest(),
        }
    }

    /// Warm-up, then a rate that climbs over the peak and comes back.
    pub(crate) fn overload(&mut self) -> Result<Measured, Error> {
        self.warm_up()?;
        let peak = match self.args.fixed_rate() {
            Some(rate) => rate,
            None => self.search()?,
        };
        let each = u64::try_from(self.args.step.as_nanos()).unwrap_or(u64::MAX);
        let pace = Pace::Stairs(Stairs { peak, factors: &FACTORS, each });
        let phase = Phase { pace, ..self.phase() };
        self.measure(&phase, peak)
    }

    /// The same load with few stored orders and with many.
    pub(crate) fn aged(&mut self) -> Result<(Measured, Option<Aged>), Error> {
        let rate = self.args.fixed_rate().unwrap_or(GENTLE);
        let (few, _) = self.fill(AGED_FROM)?;
        let young = self.held(rate)?;
        let between = few + young.tally.orders();
        let (filled, seconds) = self.fill(self.args.orders.saturating_sub(between))?;
        let old = self.held(rate)?;
        let ages = [Age::of(few, &young), Age::of(between + filled, &old)];
        let aged = Aged::of(ages, filled, seconds);
        Ok((old, Some(aged)))
    }

    /// Stores at least so many orders as fast as the server takes them; says how many it stored,
    /// and in how many seconds. What it refuses meanwhile is offered anew.
    fn fill(&mut self, orders: u64) -> Result<(u64, f64), Error> {
        let (mut stored, mut seconds, mut idle) = (0, 0.0, 0);
        while stored < orders {
            let most = orders - stored;
            let pace = Pace::Closed { width: self.args.connections.min(256), most };
            let phase = Phase { pace, length: FILL_LIMIT, ..self.phase() };
            let tally = watched(&format!("{orders} orders"), &phase, &mut self.generator)
                .map_err(Error::io("generating load"))?;
            idle = if tally.orders() == 0 { idle + 1 } else { 0 };
            if idle == FILL_TRIES {
                let why = format!("the server stores no more orders: {:?}", tally.codes);
                return Err(Error::Server(why));
            }
            if idle > 0 {
                std::thread::sleep(Duration::from_millis(100));
            }
            stored += tally.orders();
            seconds += tally.seconds();
        }
        Ok((stored, seconds))
    }

    fn warm_up(&mut self) -> Result<(), Error> {
        let args = self.args;
        if args.warmup.is_zero() {
            return Ok(());
        }
        let flash = matches!(args.preset, Preset::Flash | Preset::Coupons);
        let rate = match args.preset {
            Preset::Ledger => args.fixed_rate().unwrap_or(GENTLE / 100.0),
            Preset::Overload => args.fixed_rate().unwrap_or(GENTLE) * FACTORS[0],
            _ => args.fixed_rate().unwrap_or(GENTLE),
        };
        let rate = if flash { rate.min(GENTLE) } else { rate };
        let mix = if flash { Mix::Only(1) } else { Mix::Spread };
        let pace = Search::pace(args.poisson, rate);
        let warmup = Phase { pace, length: args.warmup, mix, ..self.phase() };
        watched("warm-up", &warmup, &mut self.generator).map_err(Error::io("generating load"))?;
        Ok(())
    }

    /// A rate that deserves to be confirmed.
    fn search(&mut self) -> Result<f64, Error> {
        let search = Search {
            confirm: self.phase(),
            probe: self.args.probe,
            poisson: self.args.poisson,
            width: self.args.connections.min(256),
        };
        let bar = bar("search", 0);
        let mut watch = |tally: &Tally, _: f64| bar.set_message(progress("search", tally));
        let rate = search
            .run(&mut self.generator, &mut watch, &mut self.probes)
            .map_err(Error::io("generating load"))?;
        bar.finish_and_clear();
        Ok(rate)
    }

    /// Searches, and confirms for the whole length.
    fn highest(&mut self) -> Result<Measured, Error> {
        let mut rate = self.search()?;
        let mut tries = Search::tries();
        loop {
            let measured = self.held(rate)?;
            let tried = probe("confirm", rate, measured.length, &measured.tally);
            let sustained = tried.sustained;
            self.probes.push(tried);
            tries -= 1;
            if sustained || tries == 0 {
                return Ok(measured);
            }
            rate = Search::lower(rate);
        }
    }

    fn held(&mut self, rate: f64) -> Result<Measured, Error> {
        let phase = Phase { pace: Search::pace(self.args.poisson, rate), ..self.phase() };
        self.measure(&phase, rate)
    }

    fn measure(&mut self, phase: &Phase, rate: f64) -> Result<Measured, Error> {
        let Self { args, stage, generator, .. } = self;
        let server = stage.server.as_ref();
        let cpu = || server.and_then(Server::cpu_us);
        let (before, cpu_before) = (Counters::read(&mut stage.client()), cpu());
        let name = format!("{} at {rate:.0}/s", args.preset.name());
        let (done, stop) = mpsc::channel();
        let client = stage.client();
        let (tally, samples) = std::thread::scope(|scope| {
            let watch = move || sampler::watch(client, server, phase.length, &stop);
            let sampler = scope.spawn(watch);
            let tally = watched(&name, phase, generator);
            drop(done);
            (tally, sampler.join().unwrap_or_default())
        });
        let tally = tally.map_err(Error::io("generating load"))?;
        let cpu_after = cpu();
        // A fresh connection: the server may have closed the other one meanwhile.
        let after = Counters::read(&mut stage.client());
        let (published, published_s) = await_published(&mut stage.client(), &after);
        Ok(Measured {
            tally,
            rate,
            length: phase.length,
            before,
            after,
            published,
            published_s,
            samples,
            server_cpu_us: cpu_after.zip(cpu_before).map(|(after, before)| after - before),
            peak_mb: server.and_then(Server::peak_memory_mb),
        })
    }
}

/// Waits until what the outbox had is in Kafka, if there is one: the last events are the latest.
fn await_published(client: &mut Client, after: &Counters) -> (Counters, f64) {
    let clock = Instant::now();
    let mut now = after.clone();
    while now.has_published(after) == Some(false) && clock.elapsed() < PUBLISH_LIMIT {
        std::thread::sleep(Duration::from_millis(20));
        now = Counters::read(client);
    }
    (now, clock.elapsed().as_secs_f64())
}
