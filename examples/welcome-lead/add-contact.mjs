import { crm } from "./crm.mjs";

/** Adds the lead to the CRM. */
export default async function ({ event, steps, connections, $ }) {
  const { email, name } = event.body;
  const contact = await crm(connections.crm, "/crm/contacts", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ email, name, company_domain: steps.lookup.$return_value?.domain }),
  });
  $.export("contact_id", contact.id);
  return contact;
}
