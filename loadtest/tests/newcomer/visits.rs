//! What a vendor drives past a recorder: a few visits at kiosks, and the same people asked of the record system.

use std::net::SocketAddr;
use std::time::Duration;

use sekisho_loadtest::cluster::Town;
use sekisho_loadtest::dialect::Dialect;
use sekisho_loadtest::kiosk::{Kiosk, Patience, Said, Scope};
use sekisho_loadtest::legacy::Form;

pub(crate) const PATIENCE: Patience = Patience(Duration::from_secs(20));

/// What a vendor records: a few visits at a kiosk, and the same people asked of the record system.
pub(crate) async fn all(town: &Town, issuer: SocketAddr, records: SocketAddr, dialect: Dialect) {
    for (n, city) in town.cities().enumerate() {
        for (m, person) in town.can_ask_for(city, Form::Tax).into_iter().take(3).enumerate() {
            let mut kiosk = Kiosk::new(format!("K-{n}{m}07"), issuer, PATIENCE).speaking(dialect);
            let (_, opened) = kiosk.open(town.card(person), town.city_code(person)).await;
            let opened = opened.expect("the recorded backend is good");
            kiosk.issue(&opened.session, "tax", Scope::Alone).await;
            kiosk.issue(&opened.session, "resident-record", Scope::Alone).await;
            kiosk.inquire(&opened.session, &opened.resident).await;
            kiosk.close(&opened.session).await;
            ask_records(records, dialect, town.card(person), &opened.resident).await;
        }
    }
    // A lawful no.
    let refused = (0..town.world().register().len()).filter_map(|no| town.world().sample(no));
    let refused = refused.into_iter().find(|person| person.refusal.is_some()).expect("somebody is refused");
    let mut kiosk = Kiosk::new("K-0907", issuer, PATIENCE).speaking(dialect);
    let (_, opened) = kiosk.open(town.card(refused.no), town.city_code(refused.no)).await;
    let opened = opened.expect("the recorded backend is good");
    let said = kiosk.issue(&opened.session, "tax", Scope::Alone).await.said;
    assert!(matches!(said, Said::Refused(code) if Some(&*code) == refused.refusal));
    kiosk.close(&opened.session).await;
}

/// The two questions, as a vendor would ask them with `curl`.
async fn ask_records(records: SocketAddr, dialect: Dialect, card: &str, resident: &str) {
    let client = |request: String, body: Vec<u8>| async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut stream = tokio::net::TcpStream::connect(records).await.unwrap();
        let head = format!("{request}\r\nHost: records\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all(&[head.as_bytes(), &body].concat()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    };
    if dialect != Dialect::Soap {
        client(format!("GET /v2/cards/{card} HTTP/1.1"), Vec::new()).await;
        return client(format!("GET /v2/residents/{resident} HTTP/1.1"), Vec::new()).await;
    }
    for (action, inside) in
        [("Card", format!("<j:CardNo>{card}</j:CardNo>")), ("Inquiry", format!("<j:Number>{resident}</j:Number>"))]
    {
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"Shift_JIS\"?><s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" \
             xmlns:j=\"urn:example:juki:1\"><s:Body><j:{action}>{inside}</j:{action}></s:Body></s:Envelope>"
        );
        let request = format!(
            "POST /juki/{action} HTTP/1.1\r\nContent-Type: text/xml; charset=Shift_JIS\r\nSOAPAction: \"{action}\""
        );
        client(request, body.into_bytes()).await;
    }
}
