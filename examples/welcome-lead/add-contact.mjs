import { crm } from "./crm.mjs";

/** Adds the lead to the CRM, unless it is there. */
export default async function ({ event, steps, connections, $ }) {
  const { email, name } = event.body;
  const query = new URLSearchParams({ email });
  const found = await crm(connections.crm, `/crm/contacts?${query}`);
  let [contact] = found.contacts;
  if (!contact) {
    contact = await crm(connections.crm, "/crm/contacts", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ email, name, company_domain: steps.lookup.$return_value?.domain }),
    });
  }
  $.export("contact_id", contact.id);
  return contact;
}
