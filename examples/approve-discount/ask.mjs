const WEEK = 7 * 24 * 60 * 60 * 1000;

/**
 * Writes the question and waits for its answer, a week at most. A real workflow would send it to
 * whoever decides: POST {"approved": true, "by": "…"} to the first link says yes, the second ends it.
 */
export default async function ({ event, $ }) {
  const { customer, percent } = event.body;
  const { resume_url, cancel_url } = $.flow.suspend(WEEK);
  return { question: `${percent} % for ${customer}?`, resume_url, cancel_url };
}
