@description('The name of the account, in this resource group.')
param accountName string

@description('Who may read and write its tables: the object id of the identity of the app.')
param principalId string

// Azure's own role "Cosmos DB Built-in Data Contributor" for tables: the same id in every account.
var dataContributor = '00000000-0000-0000-0000-000000000002'

resource account 'Microsoft.DocumentDB/databaseAccounts@2026-03-15' existing = {
  name: accountName
}

// Named by whom it is for, as in access.bicep. In a module of its own: a what-if passes over a whole module in which it
// cannot name one resource, and the account is to be seen in it.
resource access 'Microsoft.DocumentDB/databaseAccounts/tableRoleAssignments@2026-03-15' = {
  parent: account
  name: guid(account.id, principalId, dataContributor)
  properties: {
    principalId: principalId
    roleDefinitionId: '${account.id}/tableRoleDefinitions/${dataContributor}'
    scope: account.id
  }
}
