//! The order of a workflow's steps: each has a position, and says which position comes after it.
//!
//! Positions count the steps as they stand in the manifest, those inside of a step after it. Ways
//! lead forward only, so the positions of an invocation's finished steps say in which order they ran.

use crate::generated;
use crate::manifest::{ConnectionSpec, ForEachSpec, Kind, Manifest, OnError, RetrySpec, StepSpec};
use causeway_sandbox::Runtime;
use std::collections::BTreeMap;
use std::time::Duration;

/// The steps of a version by position.
pub(crate) struct Graph(Vec<Point>);

/// A step at its position.
pub(crate) struct Point {
    /// The step's name.
    pub(crate) name: String,
    /// What it does.
    pub(crate) action: Action,
    /// When it is tried again, if it is.
    pub(crate) retry: Option<RetrySpec>,
    /// What its code gets.
    pub(crate) connections: BTreeMap<String, ConnectionSpec>,
    /// The values of its props, if its code is a component.
    pub(crate) props: BTreeMap<String, serde_json::Value>,
    /// What comes after it; none if it is the last of the invocation, or of its item.
    pub(crate) next: Option<usize>,
    /// The choice whose arm ends with it, and so has its result.
    ends: Option<usize>,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// It runs code.
    Run(Code),
    /// It waits.
    Delay(Duration),
    /// It runs code that says which of these positions comes next. An arm without steps has none.
    Choose(Code, Vec<Option<usize>>),
    /// Its code says whether the loop around it ends.
    Break(Code),
    /// It runs the steps at this position once for each item of the list that its code gives.
    ForEach(Code, usize, Loop),
    /// It runs the steps at these positions, all at a time.
    Parallel(Vec<(String, usize)>),
}

/// How a loop runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Loop {
    /// How many items run at a time.
    pub(crate) concurrency: u32,
    /// What becomes of it when an item fails.
    pub(crate) on_error: OnError,
    /// Whether its items' results are kept.
    pub(crate) collect: bool,
}

/// The code of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Code {
    /// The path of its file among the version's files.
    pub(crate) entry: String,
    /// What runs it.
    pub(crate) runtime: Runtime,
}

/// The path of the file with a step's code: its own, or the one that its expressions become.
pub(crate) fn entry(step: &StepSpec) -> String {
    match &step.run {
        Some(file) => file.trim_start_matches("./").to_owned(),
        None => generated::path(step),
    }
}

impl Graph {
    pub(crate) fn new(manifest: &Manifest) -> Self {
        let mut graph = Self(Vec::new());
        graph.lay(manifest, &manifest.steps, None);
        graph
    }

    pub(crate) fn get(&self, position: usize) -> Option<&Point> {
        self.0.get(position)
    }

    /// The step at a position as rows hold it.
    pub(crate) fn at(&self, position: i64) -> Option<&Point> {
        usize::try_from(position).ok().and_then(|at| self.get(at))
    }

    /// The position behind all others, at which nothing is left to do.
    pub(crate) fn end(&self) -> i64 {
        i64::try_from(self.0.len()).unwrap_or(i64::MAX)
    }

    /// The choices whose result is that of the step at this position, the innermost first.
    pub(crate) fn ended_by(&self, position: usize) -> impl Iterator<Item = &Point> {
        let ends = |at: &usize| self.get(*at)?.ends;
        std::iter::successors(ends(&position), ends).filter_map(|at| self.get(at))
    }

    /// Gives steps that stand side by side their positions; those of them, and inside of them, that
    /// lead to whatever follows.
    fn lay(&mut self, manifest: &Manifest, steps: &[StepSpec], ends: Option<usize>) -> Vec<usize> {
        let mut exits: Vec<usize> = Vec::new();
        for (index, step) in steps.iter().enumerate() {
            let at = self.0.len();
            for exit in exits.drain(..) {
                self.lead(exit, at);
            }
            self.0.push(Point {
                name: step.name.clone(),
                action: Action::Delay(Duration::ZERO),
                retry: manifest.retry(step).cloned(),
                connections: step.connections.clone(),
                props: step.props.clone(),
                next: None,
                ends: ends.filter(|_| index + 1 == steps.len()),
            });
            exits.push(at);
            let action = self.lay_inside(manifest, step, at, &mut exits);
            if let (Some(point), Some(action)) = (self.0.get_mut(at), action) {
                point.action = action;
            }
        }
        exits
    }

    fn lead(&mut self, from: usize, to: usize) {
        if let Some(point) = self.0.get_mut(from) {
            point.next = Some(to);
        }
    }

    /// What the step at `at` does, once the steps inside of it have their positions. None for a step
    /// that does nothing, which no manifest has that was read.
    fn lay_inside(
        &mut self,
        manifest: &Manifest,
        step: &StepSpec,
        at: usize,
        exits: &mut Vec<usize>,
    ) -> Option<Action> {
        let code = Code { entry: entry(step), runtime: step.runtime().unwrap_or(Runtime::Node) };
        let kinds = step.kinds();
        Some(match kinds.first()? {
            Kind::Delay(delay) => Action::Delay(delay.get()),
            Kind::Branch(_) | Kind::Switch(_) => {
                let mut arms = Vec::new();
                for (_, body) in step.bodies() {
                    arms.push((!body.is_empty()).then_some(self.0.len()));
                    exits.extend(self.lay(manifest, body, Some(at)));
                }
                Action::Choose(code, arms)
            }
            Kind::ForEach(ForEachSpec { concurrency, on_error, collect, steps, .. }) => {
                let how =
                    Loop { concurrency: *concurrency, on_error: *on_error, collect: *collect };
                let body = self.0.len();
                self.lay(manifest, steps, None);
                Action::ForEach(code, body, how)
            }
            Kind::Parallel(list) => {
                let mut arms = Vec::new();
                for arm in *list {
                    arms.push((arm.name.clone(), self.0.len()));
                    self.lay(manifest, &arm.steps, None);
                }
                Action::Parallel(arms)
            }
            Kind::Break(_) => Action::Break(code),
            Kind::Run(_)
            | Kind::Value(_)
            | Kind::Request(_)
            | Kind::Respond(_)
            | Kind::Filter(_)
            | Kind::End(_) => Action::Run(code),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(steps: &str) -> Graph {
        let yaml = format!("name: a\ntrigger: {{ http: {{ auth: none }} }}\nsteps:\n{steps}");
        Graph::new(&Manifest::parse(&yaml).unwrap())
    }

    /// Each step's name, what comes after it, and the choices that it ends.
    fn shape(graph: &Graph) -> Vec<(&str, Option<&str>, Vec<&str>)> {
        let name = |at: usize| graph.get(at).unwrap().name.as_str();
        let of = |(at, point): (usize, &Point)| {
            let ended = graph.ended_by(at).map(|one| one.name.as_str()).collect();
            (name(at), point.next.map(name), ended)
        };
        graph.0.iter().enumerate().map(of).collect()
    }

    #[test]
    fn arms_lead_to_what_follows_the_choice_and_give_it_their_result() {
        let graph = graph(
            "  - name: size
    branch:
      - if: '{{ a }}'
        steps:
          - { name: one, end: x }
          - name: kind
            switch: { on: '{{ b }}', cases: [{ is: x, steps: [{ name: two, end: x }] }] }
      - steps: [{ name: three, end: x }]
  - { name: last, end: x }
",
        );
        assert_eq!(
            shape(&graph),
            [
                ("size", Some("last"), vec![]),
                ("one", Some("kind"), vec![]),
                ("kind", Some("last"), vec!["size"]),
                ("two", Some("last"), vec!["kind", "size"]),
                ("three", Some("last"), vec!["size"]),
                ("last", None, vec![]),
            ]
        );
        let arms = |at: usize| match &graph.get(at).unwrap().action {
            Action::Choose(_, arms) => arms.clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!(arms(0), [Some(1), Some(4)]);
        assert_eq!(arms(2), [Some(3), None], "a switch without a default has an arm without steps");
    }

    #[test]
    fn what_runs_beside_others_leads_nowhere() {
        let graph = graph(
            "  - name: each
    for_each: { items: '{{ a }}', steps: [{ name: one, end: x }, { name: two, end: x }] }
  - name: both
    parallel:
      - { name: left, steps: [{ name: three, end: x }] }
      - { name: right, steps: [{ name: four, end: x }] }
",
        );
        assert_eq!(
            shape(&graph),
            [
                ("each", Some("both"), vec![]),
                ("one", Some("two"), vec![]),
                ("two", None, vec![]),
                ("both", None, vec![]),
                ("three", None, vec![]),
                ("four", None, vec![]),
            ]
        );
        let arms = vec![("left".to_owned(), 4), ("right".to_owned(), 5)];
        assert_eq!(graph.get(3).unwrap().action, Action::Parallel(arms));
    }
}
