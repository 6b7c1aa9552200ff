"""Enters a service into Keystone: its account, and its services with their addresses.

    register.py CATALOGUE PASSWORD

CATALOGUE is a JSON file: `account`; `services`, each with `name`, `type` and `url`; and where there
are any, `roles` to make and a `domain` with an `admin` for accounts that the service makes itself.
PASSWORD is a file with the account's password; the admin of a domain has the same.

It may run any number of times: what is there is brought into line, and nothing is entered twice.
"""

import json
import pathlib
import sys

import openstack

REGION = "RegionOne"


def main():
    catalogue = json.loads(pathlib.Path(sys.argv[1]).read_text())
    password = pathlib.Path(sys.argv[2]).read_text().strip()
    identity = openstack.connect(cloud="kolla").identity
    default = identity.find_domain("default", ignore_missing=False)

    project = identity.find_project("service", domain_id=default.id) or identity.create_project(
        name="service", domain_id=default.id
    )
    user = account(identity, catalogue["account"], default, password)
    # `service` is what other services ask of one that passes on a user's token.
    for name in ("admin", "service"):
        identity.assign_project_role_to_user(project, user, role(identity, name))
    for name in catalogue.get("roles", []):
        role(identity, name)
    if domain := catalogue.get("domain"):
        made = identity.find_domain(domain["name"]) or identity.create_domain(name=domain["name"])
        admin = account(identity, domain["admin"], made, password)
        identity.assign_domain_role_to_user(made, admin, role(identity, "admin"))

    for entry in catalogue["services"]:
        service = identity.find_service(entry["name"]) or identity.create_service(
            name=entry["name"], type=entry["type"]
        )
        there = {e.interface: e for e in identity.endpoints(service_id=service.id, region_id=REGION)}
        for interface in ("public", "internal", "admin"):
            if interface not in there:
                identity.create_endpoint(
                    service_id=service.id, interface=interface, url=entry["url"], region_id=REGION
                )
            elif there[interface].url != entry["url"]:
                identity.update_endpoint(there[interface], url=entry["url"])
        print(f"{entry['name']}: registered at {entry['url']}")


def account(identity, name, domain, password):
    user = identity.find_user(name, domain_id=domain.id)
    if user is None:
        return identity.create_user(name=name, domain_id=domain.id, password=password)
    return identity.update_user(user, password=password)


def role(identity, name):
    return identity.find_role(name) or identity.create_role(name=name)


if __name__ == "__main__":
    main()
