import { createRoot } from 'react-dom/client';
import { Page } from './Page';
import { asked, embedded } from './host';
import './style.css';
import { Link } from './wire';

const root = document.getElementById('root');
if (root) {
  const link = new Link(window.location, embedded);
  createRoot(root).render(<Page link={link} asked={asked(window.location)} />);
}
