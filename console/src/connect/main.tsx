import { createRoot } from 'react-dom/client';
import { Page } from './Page';
import { embedded } from './host';
import './style.css';
import { Link } from './wire';

const root = document.getElementById('root');
if (root) createRoot(root).render(<Page link={new Link(window.location, embedded)} />);
