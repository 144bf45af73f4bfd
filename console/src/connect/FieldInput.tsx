// One field of a form, with what explains it and what is wrong with it.
import { useState } from 'react';
import type { Field } from './wire';

type Props = {
  id: string;
  field: Field;
  value: string;
  error: string | undefined;
  onChange: (text: string) => void;
  onLeave: () => void;
};

export function FieldInput({ id, field, value, error, onChange, onLeave }: Props) {
  const [open, setOpen] = useState(false);
  const around = [field.prefix, field.suffix].some(Boolean);
  const described = [
    error && `${id}-error`,
    field.help && `${id}-help`,
    field.example && `${id}-example`,
    around && `${id}-around`,
  ].filter(Boolean);
  const common = {
    id,
    name: field.name,
    value,
    'aria-required': !field.optional && !field.default,
    'aria-invalid': error !== undefined,
    'aria-describedby': described.length > 0 ? described.join(' ') : undefined,
    onBlur: onLeave,
  };
  const plain = { autoComplete: 'off', autoCapitalize: 'none', autoCorrect: 'off', spellCheck: false };
  const input = () => {
    if (field.options.length > 0) {
      return (
        <select {...common} onChange={(event) => onChange(event.target.value)}>
          {field.optional && <option value="">None</option>}
          {field.options.map((option) => (
            <option key={option.value} value={option.value}>{option.label}</option>
          ))}
        </select>
      );
    }
    if (field.format === 'multiline') {
      return <textarea {...common} {...plain} rows={6} onChange={(event) => onChange(event.target.value)} />;
    }
    const hidden = field.secret && !open;
    const kind = hidden ? 'password' : field.format === 'email' ? 'email' : field.format === 'url' ? 'url' : 'text';
    return (
      <input
        {...common}
        {...plain}
        type={kind}
        inputMode={field.format === 'number' ? 'numeric' : undefined}
        // Keeps password managers from offering what belongs to this page rather than to the app.
        autoComplete={hidden ? 'new-password' : 'off'}
        onChange={(event) => onChange(event.target.value)}
      />
    );
  };
  const shows = field.secret && field.options.length === 0 && field.format !== 'multiline';
  return (
    <div className="field">
      <label htmlFor={id}>
        {field.label}
        {field.optional && <span className="note"> (optional)</span>}
      </label>
      <div className={error === undefined ? 'box' : 'box bad'}>
        {field.prefix && <span className="around" aria-hidden="true">{field.prefix}</span>}
        {input()}
        {field.suffix && <span className="around" aria-hidden="true">{field.suffix}</span>}
        {shows && (
          <button type="button" className="show" aria-pressed={open} onClick={() => setOpen(!open)}>
            {open ? 'Hide' : 'Show'}<span className="unseen"> {field.label}</span>
          </button>
        )}
      </div>
      {error !== undefined && (
        <p id={`${id}-error`} className="wrong">
          <svg viewBox="0 0 16 16" aria-hidden="true">
            <path d="M8 1a7 7 0 100 14A7 7 0 008 1zm-.8 3.5h1.6v4.6H7.2zm0 5.9h1.6V12H7.2z" />
          </svg>
          {error}
        </p>
      )}
      {around && (
        <p id={`${id}-around`} className="unseen">
          {field.prefix && `After ${field.prefix}. `}
          {field.suffix && `Before ${field.suffix}.`}
        </p>
      )}
      {field.help && <p id={`${id}-help`} className="note">{field.help}</p>}
      {field.example && (
        <p id={`${id}-example`} className="note">Example: <code>{field.example}</code></p>
      )}
    </div>
  );
}
