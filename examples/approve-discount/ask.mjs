const WEEK = 7 * 24 * 60 * 60 * 1000;

/**
 * Writes the question and waits for its answer, a week at most. A real workflow would send it to
 * whoever decides: the first link says yes, by its button or by POST {"by": "…"}; the second says no.
 */
export default async function ({ event, $ }) {
  const { customer, percent } = event.body;
  const { resume_url: yes, cancel_url: no } = $.flow.suspend(WEEK);
  return { question: `${percent} % for ${customer}?`, yes, no };
}
