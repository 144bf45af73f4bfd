//! What apps are for.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

macro_rules! categories {
    ($($(#[doc = $about:literal])+ $variant:ident = $id:literal, $name:literal;)+) => {
        /// What an app is for.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "kebab-case")]
        pub enum Category { $($(#[doc = $about])+ #[serde(rename = $id)] $variant,)+ }

        impl Category {
            /// All of them, by id.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// As rows write it.
            pub fn id(self) -> &'static str {
                match self { $(Self::$variant => $id,)+ }
            }

            /// The category of this id.
            pub fn of_id(id: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|category| category.id() == id)
            }

            /// As people read it.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// In a sentence.
            pub fn description(self) -> &'static str {
                match self { $(Self::$variant => concat!($($about,)+).trim_ascii(),)+ }
            }
        }
    };
}

categories! {
    /// Books, invoices and expenses.
    Accounting = "accounting", "Accounting";
    /// Paid campaigns and their figures.
    Advertising = "advertising", "Advertising";
    /// Events, visits and product usage.
    Analytics = "analytics", "Analytics";
    /// Language, speech and image models.
    Ai = "ai", "AI";
    /// Appointments and booking.
    Calendar = "calendar", "Calendars and scheduling";
    /// Shops, orders and stock.
    Commerce = "commerce", "Commerce";
    /// Chat, calls and text messages.
    Communication = "communication", "Communication";
    /// Contacts, companies and deals.
    Crm = "crm", "CRM";
    /// Databases and warehouses.
    Data = "data", "Databases and data";
    /// Design and images.
    Design = "design", "Design";
    /// Code, builds and issues of developers.
    DeveloperTools = "developer-tools", "Developer tools";
    /// Documents, notes and knowledge.
    Documents = "documents", "Documents and knowledge";
    /// Contracts and signatures.
    ESignature = "e-signature", "E-signature";
    /// Courses and learners.
    Education = "education", "Education";
    /// Mailboxes and transactional e-mail.
    Email = "email", "E-mail";
    /// Sequences and outreach of sales teams.
    Engagement = "engagement", "Sales engagement";
    /// Data about people and companies.
    Enrichment = "enrichment", "Enrichment";
    /// Events and webinars.
    Events = "events", "Events and webinars";
    /// Forms and surveys.
    Forms = "forms", "Forms and surveys";
    /// Staff, time off and payroll.
    Hr = "hr", "HR and payroll";
    /// Users and sign-in.
    Identity = "identity", "Identity";
    /// Clouds, servers and domains.
    Infrastructure = "infrastructure", "Infrastructure";
    /// Campaigns and newsletters.
    Marketing = "marketing", "Marketing";
    /// Audio, video and streams.
    Media = "media", "Media";
    /// Errors, uptime and alerts.
    Monitoring = "monitoring", "Monitoring";
    /// Payments and subscriptions.
    Payments = "payments", "Payments";
    /// Lists, tables and daily work.
    Productivity = "productivity", "Productivity";
    /// Projects and tasks.
    ProjectManagement = "project-management", "Project management";
    /// Candidates and jobs.
    Recruiting = "recruiting", "Recruiting";
    /// Search, maps, weather and other lookups.
    Reference = "reference", "Reference data";
    /// Posts, pages and followers.
    Social = "social", "Social media";
    /// Files.
    Storage = "storage", "File storage";
    /// Tickets and conversations of customers.
    Support = "support", "Customer support";
    /// Hours and timesheets.
    TimeTracking = "time-tracking", "Time tracking";
    /// Sites and content.
    Websites = "websites", "Websites and content";
}
