// Loaded before npm, and before what install scripts start: lets their connections take the way out.
'use strict';

const way = require('/runner/egress.cjs');

way.install();
way.ensure();
