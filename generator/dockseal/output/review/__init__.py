"""The reviewer's page of a rendered folder: what it does, on one page, and what has changed since an older one."""
