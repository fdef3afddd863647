//! Peak hours against the pure state: an event loop without runtime and clock, from a seed that is printed. One day of overload in
//! milliseconds.

mod day;
mod town;

use std::time::Duration;

use day::Day;
use town::{Figures, Town};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

fn run(name: &str, seed: u64, day: &Day) -> Figures {
    let figures = Town::new(seed, day).run();
    println!("{name}, seed {seed}:\n{figures}");
    figures
}

/// Three seeds each: what holds for one must hold for others.
fn runs(name: &str, day: &Day) -> Vec<Figures> {
    (1..=3).map(|seed| run(name, seed, day)).collect()
}

#[test]
fn at_ten_times_the_capacity_whoever_is_let_in_is_served_and_the_backend_works_at_its_capacity() {
    let mut day = Day::of(4, 200 * MS, 5 * SECOND).with_cities(&[0.5, 0.3, 0.2]);
    day.rate = |second| if (15..45).contains(&second) { 180.0 } else { 6.0 };
    day.seconds = 65;
    for figures in runs("spike", &day) {
        assert!(figures.started_ok() >= 0.999, "{figures}");
        assert!(figures.served(17, 45) >= 0.97 * day.capacity() * 28.0, "{figures}");
        assert!(figures.share_served(0, 15) >= 0.99 && figures.share_served(46, 65) >= 0.99, "{figures}");
    }
}

#[test]
fn an_overload_that_comes_slowly_finds_the_same_end() {
    let mut day = Day::of(16, 100 * MS, 3 * SECOND);
    day.rate = |second| 20.0 * f64::from(second);
    day.seconds = 60;
    for figures in runs("ramp", &day) {
        assert!(figures.started_ok() >= 0.999, "{figures}");
        assert!(figures.served(20, 60) >= 0.97 * day.capacity() * 40.0, "{figures}");
    }
}

#[test]
fn requests_without_a_session_fill_the_backend_and_finish_in_time() {
    for (times, least) in [(2.0, 0.97), (5.0, 0.95), (10.0, 0.95)] {
        let mut day = Day::of(16, 100 * MS, 3 * SECOND);
        day.sessions = false;
        day.sigma = 0.0;
        day.rate = match times as u32 {
            2 => |_| 320.0,
            5 => |_| 800.0,
            _ => |_| 1600.0,
        };
        day.seconds = 30;
        for figures in runs(&format!("{times} times"), &day) {
            assert!(figures.served(5, 30) >= least * day.capacity() * 25.0, "{figures}");
            assert!(figures.admitted_ok() >= 0.999, "{figures}");
        }
    }
}

#[test]
fn people_who_think_long_do_not_come_all_at_once_and_do_not_leave_places_idle() {
    let mut day = Day::of(8, 200 * MS, 5 * SECOND);
    day.think = (4.0, 0.8);
    day.rate = |second| if second < 20 { 10.0 } else { 150.0 };
    day.seconds = 90;
    for figures in runs("long thought", &day) {
        assert!(figures.started_ok() >= 0.999, "{figures}");
        assert!(figures.finished(30, 90) >= 0.95 * day.capacity() * 60.0, "{figures}");
    }
}

#[test]
fn half_of_the_people_who_walk_away_leave_no_place_idle() {
    let mut day = Day::of(8, 200 * MS, 5 * SECOND);
    day.abandon = 0.5;
    day.rate = |_| 150.0;
    day.seconds = 90;
    for figures in runs("abandoned", &day) {
        assert!(figures.started_ok() >= 0.999, "{figures}");
        assert!(figures.finished(30, 90) >= 0.95 * day.capacity() * 60.0, "{figures}");
    }
}

#[test]
fn a_surge_of_one_city_moves_nobody_elses_success() {
    let mut day = Day::of(8, 200 * MS, 5 * SECOND).with_cities(&[1.0, 1.0, 1.0]);
    day.city_rate = Some(|city, second| if city == 0 && (20..80).contains(&second) { 80.0 } else { 4.0 });
    day.seconds = 100;
    for figures in runs("one city", &day) {
        for city in [1, 2] {
            let (calm, surge) = (figures.city_served(city, 0, 20), figures.city_served(city, 20, 80));
            assert!(surge >= calm - 0.005, "city {city}: {figures}");
        }
        assert!(figures.started_ok() >= 0.999, "{figures}");
        assert!(
            figures.served(25, 80) >= 0.95 * day.capacity() * 55.0,
            "what the others do not use is lent: {figures}"
        );
    }
}

#[test]
fn after_a_stall_everything_is_as_before_within_a_second_whatever_piled_up() {
    for rate in [|_| 15.0, |_| 60.0] {
        let mut day = Day::of(8, 200 * MS, 3 * SECOND);
        day.rate = rate;
        day.stall = Some((20.0, 28.0));
        day.seconds = 45;
        for figures in runs("stall", &day) {
            let (came, _) = figures.sum(29, 45, None);
            let possible = (day.capacity() * 16.0).min(came);
            assert!(figures.served(29, 45) >= 0.95 * possible, "{figures}");
            assert!(figures.finished(29, 30) >= 0.8 * day.capacity().min((day.rate)(30)), "{figures}");
        }
    }
}

#[test]
fn a_backend_twice_as_slow_is_used_as_well_as_by_the_best_fixed_limit() {
    let mut day = Day::of(8, 200 * MS, 5 * SECOND);
    day.rate = |_| 24.0;
    day.slow = Some((20.0, 35.0, 2.0));
    day.seconds = 60;
    for figures in runs("slow", &day) {
        assert!(figures.finished(20, 35) >= 0.92 * 15.0 * day.capacity() / 2.0, "{figures}");
        assert!(figures.started_ok() >= 0.999, "{figures}");
        assert!(figures.share_served(40, 60) >= 0.97, "{figures}");
    }
}

#[test]
fn a_storm_of_people_who_press_again_dies_down_with_them() {
    let mut day = Day::of(4, 200 * MS, 4 * SECOND);
    day.think = (0.2, 0.0);
    day.retries = 5;
    day.patience = Some(2.0);
    day.rate = |second| if (15..35).contains(&second) { 27.0 } else { 5.0 };
    day.seconds = 65;
    for figures in runs("storm", &day) {
        assert!(figures.served(15, 35) / (27.0 * 20.0) >= 0.6, "{figures}");
        assert!(figures.share_served(45, 65) >= 0.99, "{figures}");
        assert!(figures.started_ok() >= 0.999, "{figures}");
    }
}

#[test]
fn the_same_seed_gives_the_same_day() {
    let mut day = Day::of(8, 200 * MS, 5 * SECOND).with_cities(&[1.0, 2.0]);
    day.rate = |_| 100.0;
    day.seconds = 20;
    assert_eq!(Town::new(7, &day).run().to_string(), Town::new(7, &day).run().to_string());
}
