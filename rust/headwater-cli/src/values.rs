//! Flags that turn the values of a topic into typed columns.

use crate::failure::{Failure, say};
use clap::{Args, ValueEnum};
use headwater_arrow::source::PartitionSource;
use headwater_arrow::{
    BadRows, BytesLayout, InferError, Inferred, Projection, ScanError, ScanPlan, ValueSchema, infer_values,
};

/// How values are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ValueFormat {
    Json,
}

/// What becomes of bad values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum WhenBad {
    Fail,
    Column,
}

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Typed values")]
pub(crate) struct ValueFlags {
    /// Read each value as one JSON object, and write a column per field instead of `value`
    #[arg(long, value_name = "FORMAT", hide_possible_values = true)]
    value_format: Option<ValueFormat>,
    /// Fields and types, as `carrier string, delay long` [default: what the first records show]
    #[arg(long, value_name = "FIELDS", requires = "value_format", value_parser = schema)]
    value_schema: Option<ValueSchema>,
    /// What to do with a value that is not one object of these types: `fail`, or make its fields null and say why in a
    /// `column` named `value_error`
    #[arg(
        long,
        value_name = "HOW",
        default_value = "fail",
        hide_possible_values = true,
        requires = "value_format"
    )]
    bad_rows: WhenBad,
    /// How many records to infer the fields from
    #[arg(
        long,
        value_name = "COUNT",
        default_value_t = 1000,
        value_parser = clap::value_parser!(u32).range(1..),
        requires = "value_format"
    )]
    sample: u32,
}

fn schema(text: &str) -> Result<ValueSchema, String> {
    ValueSchema::parse(text).map_err(|error| error.to_string())
}

impl ValueFlags {
    /// The columns to read, as far as they are known without looking at records.
    pub(crate) fn known(&self, columns: &[String]) -> Result<Option<Projection>, Failure> {
        match (self.value_format, &self.value_schema) {
            (None, _) => self.projection(columns, None).map(Some),
            (Some(ValueFormat::Json), Some(schema)) => self.projection(columns, Some(schema)).map(Some),
            (Some(ValueFormat::Json), None) => Ok(None),
        }
    }

    /// The columns to read, by what the first records of `plan` show. Blocking.
    pub(crate) fn inferred(
        &self,
        columns: &[String],
        plan: &ScanPlan,
        sources: Vec<Box<dyn PartitionSource>>,
        quiet: bool,
    ) -> Result<Projection, Failure> {
        let inferred = infer_values(plan, sources, self.sample as usize);
        let Inferred { schema, records, bad } = inferred.map_err(|error| match error {
            InferError::Scan(ScanError::Interrupted(_)) => Failure::Interrupted,
            other => Failure::new(other).hint("`--value-schema` says what the values are"),
        })?;
        if !quiet {
            let bad = if bad == 0 { String::new() } else { format!(", {bad} of them bad") };
            say(&format!("value schema, from {records} records{bad}: {schema}"));
        }
        self.projection(columns, Some(&schema))
    }

    fn projection(&self, columns: &[String], schema: Option<&ValueSchema>) -> Result<Projection, Failure> {
        let names: Vec<&str> = columns.iter().map(String::as_str).collect();
        let names = (!names.is_empty()).then_some(names);
        let layout = BytesLayout::Binary;
        let bad_rows = match self.bad_rows {
            WhenBad::Fail => BadRows::Fail,
            WhenBad::Column => BadRows::Column,
        };
        let chosen = match (schema, names) {
            (None, None) => Ok(Projection::all(layout)),
            (None, Some(names)) => Projection::from_names(names, layout),
            (Some(schema), names) => Projection::with_values(names.as_deref(), schema, bad_rows, layout),
        };
        chosen.map_err(Failure::usage)
    }
}
