/** What Causeway's connect.js puts into `window.Causeway`. */

export interface ConnectResult {
  /** The connection that was made or renewed: `conn_…`. */
  connectionId: string;
  /** The same id as the Pipedream contract writes it: `apn_…`. */
  authProvisionId: string;
}

export interface ConnectError {
  /** A problem's code, `popup_blocked` or `not_loaded`. */
  code: string;
  /** What happened and what to do, for the customer. */
  message: string;
}

interface ConnectCommon {
  /** How the page is shown: in a dialog over yours, in place of yours, or in a window. */
  mode?: 'iframe' | 'redirect' | 'popup';
  /** Where the page stands in yours, instead of a dialog. For `iframe` only. */
  container?: HTMLElement;
  /** What screen readers call the dialog; "Connect an account" if it is left out. */
  title?: string;
  /** The customer is connected. The page stays until the customer closes it. */
  onSuccess?: (result: ConnectResult) => void;
  /** Something failed; the page says so, and the customer may try again on it. */
  onError?: (error: ConnectError) => void;
  /** The page is gone. Called once, after success too. */
  onClose?: () => void;
}

export type ConnectOptions = ConnectCommon &
  (
    | { /** The link of the connect session: `connect_url`. */ url: string }
    | {
        /** The token of the link: `cwl_…`. */
        token: string;
        /** Your server's public address; the one that served this script if it is left out. */
        baseUrl?: string;
      }
  );

export interface ConnectHandle {
  /** Takes the page away. */
  close(): void;
}

/** Shows the connect page. */
export declare function connect(options: ConnectOptions): ConnectHandle;

declare global {
  interface Window {
    Causeway: { connect: typeof connect };
  }
}
