/** Writes the greeting. A real workflow would send it. */
export default async function ({ event, steps }) {
  const company = steps.lookup.$return_value?.name ?? "your company";
  const greeting = `Welcome, ${event.body.name}! We look forward to working with ${company}.`;
  console.log(greeting);
  return { greeting, contact_id: steps.add_contact.contact_id };
}
