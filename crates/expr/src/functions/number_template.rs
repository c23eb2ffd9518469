//! to_char and to_number of numbers by template (manual, table 9.29).

mod parse;
mod print;
mod read;

use super::Declarations;
use crate::registry::FunctionDesc;
use crate::value::eval;
use everview_repr::EvalError;
use everview_repr::numeric::Numeric;
use parse::Template;

fn numeric(value: &Numeric, template: &str) -> Result<String, EvalError> {
    let mut template = Template::parse(template)?;
    let factor = Numeric::parse(&format!("1e{}", template.multi))?;
    let value = if template.multi > 0 {
        value.mul(&factor)?
    } else {
        value.clone()
    };
    template.pre += template.multi;
    let rounded = value.round(template.post as i32)?.to_string();
    Ok(print::print(&template, &rounded))
}

/// Doubles and reals show as many digits as they hold.
fn float(value: f64, digits: usize, template: &str) -> Result<String, EvalError> {
    let mut template = Template::parse(template)?;
    let value = value * 10f64.powi(template.multi as i32);
    template.pre += template.multi;
    let whole = format!("{:.0}", value.abs()).len();
    if whole >= digits {
        template.post = 0;
    } else if whole + template.post > digits {
        template.post = digits - whole;
    }
    let text = if value.is_finite() {
        format!("{value:.*}", template.post)
    } else {
        everview_repr::float::format64(value)
    };
    Ok(print::print(&template, &text))
}

fn integer(value: i64, template: &str) -> Result<String, EvalError> {
    numeric(&Numeric::new(value.into(), 0).unwrap_or_default(), template)
}

pub(super) fn declare(out: &mut Declarations) {
    let doc = "A number as text by a template.";
    let mut push = |signature, eval| out.push(FunctionDesc::new("to_char", signature, doc, eval));
    push(
        "numeric, text -> text",
        eval!(|v: Numeric, t: &str| numeric(&v, t)),
    );
    push(
        "int4, text -> text",
        eval!(|v: i32, t: &str| integer(v.into(), t)),
    );
    push("int8, text -> text", eval!(|v: i64, t: &str| integer(v, t)));
    push(
        "float8, text -> text",
        eval!(|v: f64, t: &str| float(v, 15, t)),
    );
    push(
        "float4, text -> text",
        eval!(|v: f32, t: &str| float(v.into(), 6, t)),
    );
    let doc = "A number read by a template.";
    let eval: crate::registry::Eval = eval!(|s: &str, t: &str| read::read(s, t));
    out.push(FunctionDesc::new("to_number", "text, text -> numeric", doc, eval).nullable());
}
