//! A renderer: reads the record, lays out the sheets, prints them and collects the output. Each step is right unless its fault is on.

use std::sync::Arc;
use std::time::Duration;

use super::chronicle::{Asked, Role};
use super::fault::{Fault, mix};
use super::machine::{Image, Notice, Sheet};
use super::paper::{self, Extract, Form, PageImage, Scope, Stamp, jst_date};
use super::pipes::Order;
use super::print_slots::Printing;
use super::resident::PersonNo;
use super::spool::Names;
use super::world::{City, World};

/// Why there is no certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// The time limit of the print wait.
    PrintTimeout,
    /// A sheet never came.
    Assembly,
    /// The output file is not there.
    NoOutput,
    /// There is nobody of that number.
    NoRecord,
}

/// What a renderer keeps between requests.
#[derive(Default)]
pub(super) struct Worker {
    /// The result buffer. Right: written before it is read. Wrong (munakata): handed out as it is when a record could not be read.
    result: Option<Arc<Image>>,
}

/// Makes the certificate.
pub(super) async fn render(world: &Arc<World>, worker: &mut Worker, order: &Order) -> Result<Arc<Image>, Failure> {
    let Order { asked, form, scope, .. } = order;
    let city = world.city(asked.city).ok_or(Failure::NoRecord)?;
    let (machine, form, scope) = (&city.machine, *form, *scope);

    if city.switches.on(Fault::MunakataPreviousResult) {
        let meanwhile =
            world.fires(city, Fault::MunakataPreviousResult, Some(form), asked).then(|| machine.updates.begin());
        if machine.updates.locked() {
            // The status of the read says "locked"; nobody looks at it.
            if let Some(previous) = worker.result.clone() {
                world.harmed(city, Fault::MunakataPreviousResult, Some(form), asked, world.party(&previous.made_for));
                return Ok(previous);
            }
        }
        drop(meanwhile);
    }
    machine.updates.wait().await;

    let extract = read_record(world, city, asked, form, scope).ok_or(Failure::NoRecord)?;
    let sheets = lay_out(world, city, asked, extract).await?;
    let sheets = assemble(world, city, asked, form, sheets).await?;
    let images: Vec<&PageImage> = sheets.iter().map(|sheet| &*sheet.image).collect();
    let stamp = Stamp::new(&city.municipality.code, &asked.terminal, jst_date(world.now()), world.next_serial(city));
    let file = city.press.assemble(&images, &stamp).ok_or(Failure::NoOutput)?;
    let image = Arc::new(Image { file: file.into(), made_for: Arc::clone(asked) });
    let image = print(world, city, asked, form, image).await?;
    let image = collect(world, city, asked, form, image).await?;
    worker.result = Some(Arc::clone(&image));
    Ok(image)
}

/// Reads the record of the person asked for: by number; wrong (insurance-weak-match), by reading, birth date and sex. Seal
/// registrations are read from the issuing server's own copy; wrong (stale-seal), it missed a change.
fn read_record(world: &World, city: &City, asked: &Asked, form: Form, scope: Scope) -> Option<Extract> {
    let mut person = asked.person;
    if form == Form::Tax && world.fires(city, Fault::InsuranceWeakMatch, Some(form), asked) {
        person = world.weakly_matched(person);
        if person != asked.person {
            world.harmed(city, Fault::InsuranceWeakMatch, Some(form), asked, world.person_party(person));
        }
    }
    let mut extract = world.extract(person, form, scope)?;
    if form == Form::SealRegistration
        && let Some(stale) = city.machine.lagging(person)
    {
        world.harmed(city, Fault::StaleSeal, Some(form), asked, world.person_party(person));
        extract.people = vec![Arc::clone(&stale)];
        extract.requester = stale;
    }
    Some(extract)
}

/// Copies the record into a work-table row, works, and renders the sheets from the row.
async fn lay_out(world: &Arc<World>, city: &City, asked: &Arc<Asked>, extract: Extract) -> Result<Vec<Sheet>, Failure> {
    let (machine, form) = (&city.machine, extract.form);
    let (intended, head_count) = (extract.requester.person.no, extract.people.len());
    let row = machine.work_table.take(extract);
    let raced = [Fault::AdachiUpdateRace, Fault::AdachiDismissedAlarm]
        .into_iter()
        .find(|fault| city.switches.on(*fault) && world.fires(city, *fault, Some(form), asked));
    let lag = world.config.windows.lag;
    if raced.is_some() {
        update_comes_in(world, city.no, asked);
        tokio::time::sleep(lag / 3).await;
    }
    let first = row.read().ok_or(Failure::NoRecord)?;
    machine.server.work(&world.config.service, world.pace().factor()).await;
    if raced.is_some() {
        tokio::time::sleep(lag * 2 / 3).await;
    }
    let second = row.read().ok_or(Failure::NoRecord)?;
    drop(row);

    let intact =
        Arc::ptr_eq(&first, &second) && first.requester.person.no == intended && first.people.len() == head_count;
    let sheets = if Arc::ptr_eq(&first, &second) {
        finished_sheets(world, city, Arc::clone(&first))
    } else {
        render_sheets(world, city, &first, &second)
    }
    .ok_or(Failure::NoRecord)?;
    if !intact {
        let other = [&second, &first].into_iter().map(|extract| extract.requester.person.no).find(|no| *no != intended);
        // The row rewritten may be that of a job whose own window did not open.
        let alarm_only = !city.switches.on(Fault::AdachiUpdateRace);
        let installed = if alarm_only { Fault::AdachiDismissedAlarm } else { Fault::AdachiUpdateRace };
        let fault = raced.unwrap_or(installed);
        world.harmed(city, fault, Some(form), asked, world.person_party(other.unwrap_or(intended)));
        if fault == Fault::AdachiDismissedAlarm {
            machine.notices().push(Notice {
                at_us: world.chronicle().now_us(),
                resident: world.id_of(asked.person),
                request: asked.request.clone(),
                closed: None,
            });
        }
    } else if city.switches.on(Fault::AdachiDismissedAlarm) {
        dismiss_notices(world, city, asked);
    }
    Ok(sheets.into_iter().map(|image| Sheet { image, made_for: Arc::clone(asked) }).collect())
}

/// A good print of the same resident: "re-applied, printed normally", and nobody asks what came out the first time.
fn dismiss_notices(world: &World, city: &City, asked: &Asked) {
    let resident = world.id_of(asked.person);
    for notice in
        city.machine.notices().iter_mut().filter(|notice| notice.closed.is_none() && notice.resident == resident)
    {
        notice.closed = Some("re-applied, printed normally");
    }
}

/// The near-real-time feed brings an update of somebody's record during this job, at some moment within the lag.
fn update_comes_in(world: &Arc<World>, city_no: usize, asked: &Asked) {
    let Some(city) = world.city(city_no) else { return };
    let draw = mix(world.config.seed ^ world.chronicle().now_us());
    let span = city.people.len().max(1);
    let start = usize::try_from(draw % span as u64).unwrap_or(0);
    let somebody = (0..span).map(|n| city.people.start + (start + n) % span).find(|no| {
        *no != asked.person && world.register().get(*no).is_some_and(|record| record.person.state.refusal().is_none())
    });
    let Some(somebody) = somebody else { return };
    let when = world.config.windows.lag.mul_f64(super::fault::unit(mix(draw)) * 0.9);
    let world = Arc::clone(world);
    tokio::spawn(async move {
        tokio::time::sleep(when).await;
        apply_to_work_table(&world, city_no, somebody);
    });
}

/// The update job writes a changed record into the current work-table row.
pub(super) fn apply_to_work_table(world: &World, city_no: usize, changed: PersonNo) {
    let (Some(city), Some(record)) = (world.city(city_no), world.register().get(changed)) else { return };
    let head = world.register().get(record.person.head).map(|head| head.person.name.clone()).unwrap_or_default();
    city.machine.work_table.rewrite_current(|row| {
        // The row keeps as many people as its form has; those of the same household get their present data.
        let same = row.people.iter().position(|person| person.person.no == changed);
        let mut people = row.people.clone();
        match same.and_then(|at| people.get_mut(at)) {
            Some(person) => *person = Arc::clone(&record),
            None => people = vec![Arc::clone(&record)],
        }
        Extract { form: row.form, city: row.city, head, requester: Arc::clone(&record), people }
    });
}

/// Sheets of this content, made once and then reused.
fn finished_sheets(world: &World, city: &City, extract: Arc<Extract>) -> Option<Vec<Arc<PageImage>>> {
    let key = (extract.requester.person.no, extract.form, extract.people.len());
    if let Some(sheets) = city.machine.rendered(key, &extract) {
        return Some(sheets);
    }
    let sheets = render_sheets(world, city, &extract, &extract)?;
    city.machine.keep_rendered(key, extract, sheets.clone());
    Some(sheets)
}

fn render_sheets(world: &World, city: &City, first: &Extract, second: &Extract) -> Option<Vec<Arc<PageImage>>> {
    (0..first.sheets())
        .map(|index| {
            let image = paper::render(&city.municipality, first, second, index)?;
            world.remember(city.no, &image);
            Some(Arc::new(image))
        })
        .collect()
}

/// Puts the sheets together: by job; wrong (tokushima), by sheet number.
async fn assemble(
    world: &World,
    city: &City,
    asked: &Asked,
    form: Form,
    sheets: Vec<Sheet>,
) -> Result<Vec<Sheet>, Failure> {
    if sheets.len() < 2 || !city.switches.on(Fault::TokushimaMixedPage) {
        return Ok(sheets);
    }
    let lag = world.config.windows.lag;
    let late = if world.fires(city, Fault::TokushimaMixedPage, Some(form), asked) { lag } else { Duration::ZERO };
    let sheets = city.machine.assembly.by_number(form, sheets, late, lag * 5).await.ok_or(Failure::Assembly)?;
    for foreign in sheets.iter().filter(|sheet| *sheet.made_for != *asked) {
        world.harmed(city, Fault::TokushimaMixedPage, Some(form), asked, world.party(&foreign.made_for));
    }
    Ok(sheets)
}

/// Prints: the time limit ends the issuance; wrong (yokohama), it gives back the print order only.
async fn print(
    world: &World,
    city: &City,
    asked: &Asked,
    form: Form,
    image: Arc<Image>,
) -> Result<Arc<Image>, Failure> {
    let wait = world.config.windows.print_wait;
    let delayed = world.fires(city, Fault::YokohamaLockTimeout, Some(form), asked);
    let how = Printing {
        takes: if delayed { wait * 2 } else { Duration::ZERO },
        wait,
        keeps_waiting: city.switches.on(Fault::YokohamaLockTimeout),
    };
    let image = city.machine.print_slots.print(image, how).await.ok_or(Failure::PrintTimeout)?;
    if *image.made_for != *asked {
        world.harmed(city, Fault::YokohamaLockTimeout, Some(form), asked, world.party(&image.made_for));
    }
    Ok(image)
}

/// Writes the output file and collects it: under a name that only this job has; wrong, under the second's (kawasaki) or the
/// host's (takamatsu).
async fn collect(
    world: &World,
    city: &City,
    asked: &Asked,
    form: Form,
    image: Arc<Image>,
) -> Result<Arc<Image>, Failure> {
    let machine = &city.machine;
    let by_second = form == Form::FamilyRegister && city.switches.on(Fault::KawasakiSameSecond);
    let by_host = city.switches.on(Fault::TakamatsuTopology);
    let names: &Names = if by_host {
        machine.host_names.get(machine.next_host()).unwrap_or(&machine.site_names)
    } else {
        &machine.site_names
    };
    let name = names.take();
    let file = if by_second { format!("{}.PDF", world.now().strftime("%Y%m%d%H%M%S")) } else { name.file() };
    let written_for = Arc::clone(&image.made_for);
    machine.spool.write(&file, image);
    let lags = [(by_second, Fault::KawasakiSameSecond), (by_host, Fault::TakamatsuTopology)];
    let lagging = lags.into_iter().any(|(on, fault)| on && world.fires(city, fault, Some(form), asked));
    if lagging {
        tokio::time::sleep(world.config.windows.lag).await;
    }
    let image = machine.spool.read(&file).ok_or(Failure::NoOutput)?;
    drop(name);
    if image.made_for != written_for {
        let fault = if by_second { Fault::KawasakiSameSecond } else { Fault::TakamatsuTopology };
        world.log(city, fault, Role::Harm, Some(form), world.party(asked), Some(world.party(&image.made_for)));
    }
    Ok(image)
}
