//! x
use everview_slt::*;
struct Refreshing(Wire);
impl Engine for Refreshing {
    fn run(&mut self, sql: &str) -> Result<Outcome, EngineError> {
        if let Some(rest) = sql.strip_prefix("SELECT * FROM slt_view") {
            let n = rest.split_whitespace().next().filter(|_| !rest.starts_with(' ')).unwrap_or("");
            self.0.run(&format!("REFRESH MATERIALIZED VIEW slt_view{n}"))?;
        }
        self.0.run(sql)
    }
    fn restart(&mut self) -> Result<(), EngineError> { self.0.restart() }
    fn name(&self) -> &str { self.0.name() }
}
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let mode: Mode = a[2].parse().unwrap();
    let hook = std::env::var("RESTART").ok().map(restart_command);
    let mut w = Refreshing(Wire::connect(&a[1], hook).unwrap());
    let sample = std::env::var("SAMPLE").ok().map(|s| s.parse().unwrap());
    let o = Options { files: a[3..].iter().map(Into::into).collect(), mode, labels: vec!["postgresql".into()], sample, seed: 7, ..Options::default() };
    let t = std::time::Instant::now();
    let s = run(&o, &mut w, &mut std::io::stdout()).unwrap();
    println!("{:?}", t.elapsed()); std::process::exit(i32::from(!s.succeeded()));
}
